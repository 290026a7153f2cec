#include "models/packed_batch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/tiny_dataset.h"

namespace nkat::models {
namespace {

using nkat::testing::tiny_id;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::int64_t> values(const at::Tensor& tensor) {
  const at::Tensor packed = tensor.contiguous();
  const auto* first = packed.const_data_ptr<std::int64_t>();
  return {first, first + packed.numel()};
}

// Tokens 10 to 18 in samples of 3, 2 and 4, each last one a target and 16 too.
PackedBatch three_samples() {
  return {.tokens = at::arange(10, 19),
          .lengths = {3, 2, 4},
          .target_rows = at::tensor(std::vector<std::int64_t>{1, 3, 5, 7}),
          .targets = at::tensor(std::vector<std::int64_t>{12, 14, 16, 18}),
          .samples = {7, 5, 6}};
}

class PackSamples : public ::testing::Test {
 protected:
  nkat::testing::TemporaryFolder folder_;
  data::Dataset dataset_ =
      nkat::testing::tiny_dataset(folder_, "{\"prompt\":\"h\",\"completion\":\"hello\"}\n{\"text\":\"hello hello\"}\n");
};

// <|user|> 310, <|end|> 307, <|assistant|> 301, <|endoftext|> 300; the answer and its <|end|> are targets.
TEST_F(PackSamples, LaysThemEndToEndInTheOrderAskedForAndPredictsFromTheRowBefore) {
  const PackedBatch packed = pack_samples(dataset_, std::vector<std::int64_t>{1, 0});
  const int hello = tiny_id("\u2581hello");
  EXPECT_THAT(values(packed.tokens), ElementsAre(hello, hello,  //
                                                 310, tiny_id("\u2581"), tiny_id("h"), 307, 301, hello, 307, 300));
  EXPECT_THAT(packed.lengths, ElementsAre(2, 8));
  EXPECT_THAT(packed.samples, ElementsAre(1, 0));
  EXPECT_THAT(values(packed.target_rows), ElementsAre(0, 6, 7));
  EXPECT_THAT(values(packed.targets), ElementsAre(hello, hello, 307));
}

TEST_F(PackSamples, OfNoneGivesEmptyTensors) {
  const PackedBatch packed = pack_samples(dataset_, {});
  EXPECT_EQ(packed.token_count(), 0);
  EXPECT_EQ(packed.target_count(), 0);
  EXPECT_EQ(packed.target_rows.scalar_type(), at::kLong);
  EXPECT_THAT(packed.lengths, IsEmpty());
}

TEST(SplitInHalf, GivesTheLaterHalfTheOddSampleAndCountsItsRowsFromItsStart) {
  const auto [first, second] = split_in_half(three_samples());
  EXPECT_THAT(values(first.tokens), ElementsAre(10, 11, 12));
  EXPECT_THAT(first.lengths, ElementsAre(3));
  EXPECT_THAT(first.samples, ElementsAre(7));
  EXPECT_THAT(values(first.target_rows), ElementsAre(1));
  EXPECT_THAT(values(first.targets), ElementsAre(12));
  EXPECT_THAT(values(second.tokens), ElementsAre(13, 14, 15, 16, 17, 18));
  EXPECT_THAT(second.lengths, ElementsAre(2, 4));
  EXPECT_THAT(second.samples, ElementsAre(5, 6));
  EXPECT_THAT(values(second.target_rows), ElementsAre(0, 2, 4));
  EXPECT_THAT(values(second.targets), ElementsAre(14, 16, 18));
}

TEST(SplitInHalf, LeavesAHalfWithoutTargetsAndRefusesASingleSample) {
  PackedBatch packed = three_samples();
  packed.target_rows = packed.target_rows.narrow(0, 1, 3);
  packed.targets = packed.targets.narrow(0, 1, 3);
  const auto [first, second] = split_in_half(packed);
  EXPECT_EQ(first.target_count(), 0);
  EXPECT_EQ(second.target_count(), 3);
  EXPECT_THROW(split_in_half(first), InternalError);
}

TEST(PadRows, AddsASampleOfTokenZeroThatHasNoTargetAndNoIndex) {
  const PackedBatch packed = three_samples();
  const PackedBatch padded = pad_rows(packed, 4);
  EXPECT_THAT(values(padded.tokens), ElementsAre(10, 11, 12, 13, 14, 15, 16, 17, 18, 0, 0, 0));
  EXPECT_THAT(padded.lengths, ElementsAre(3, 2, 4, 3));
  EXPECT_THAT(padded.samples, ElementsAre(7, 5, 6));
  EXPECT_THAT(values(padded.target_rows), ElementsAre(1, 3, 5, 7));
  EXPECT_EQ(packed.token_count(), 9);
}

TEST(PadRows, AddsNothingToAMultiple) {
  const PackedBatch padded = pad_rows(three_samples(), 3);
  EXPECT_EQ(padded.token_count(), 9);
  EXPECT_THAT(padded.lengths, ElementsAre(3, 2, 4));
}

// The meta device stands in for a GPU: it holds sizes alone.
TEST(PackedBatch, MovesEveryTensorThatItHas) {
  const PackedBatch moved = three_samples().to(at::Device(at::kMeta));
  for (const at::Tensor& tensor : {moved.tokens, moved.target_rows, moved.targets}) EXPECT_TRUE(tensor.is_meta());
  EXPECT_THAT(moved.lengths, ElementsAre(3, 2, 4));
  EXPECT_THAT(moved.samples, ElementsAre(7, 5, 6));
  const PackedBatch untargeted = PackedBatch{.tokens = at::arange(3), .lengths = {3}}.to(at::Device(at::kMeta));
  EXPECT_TRUE(untargeted.tokens.is_meta());
  EXPECT_FALSE(untargeted.target_rows.defined());
}

}  // namespace
}  // namespace nkat::models
