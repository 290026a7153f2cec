#include "models/generation/batch_decoder.h"

#include <span>
#include <stdexcept>
#include <utility>

#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/gradients.h"
#include "tests/support/tiny_model.h"

namespace nkat::models {
namespace {

using namespace nkat::testing;
using Tokens = std::vector<std::int32_t>;
using Rows = std::vector<std::int64_t>;

// Sees how many rows each pass takes, and fails in the last layer when asked to.
class BatchDecoderPasses : public ::testing::Test {
 protected:
  BatchDecoderPasses() {
    decoder_.observe_inputs([this](const layers::Weight& weight, const at::Tensor& input) {
      if (&weight == &decoder_.layer_weights(0).qkv) rows_.push_back(input.size(0));
      if (fails_ && &weight == &decoder_.layer_weights(1).down) throw std::runtime_error("asked for by the test");
    });
  }
  Rows rows_of_passes() { return std::exchange(rows_, {}); }
  // float64: a difference beyond rounding would be another computation.
  void expect_as_alone(const at::Tensor& logits, const Tokens& tokens) const {
    EXPECT_LT(relative_error(logits, SequenceDecoder(unobserved_, {}).next_logits(tokens)), 1e-12) << tokens.size();
  }

  ModelConfig config_ = tiny_config();
  Decoder decoder_ = tiny_decoder(config_, at::kDouble);
  Decoder unobserved_ = tiny_decoder(config_, at::kDouble);
  Rows rows_;
  bool fails_ = false;
};

TEST_F(BatchDecoderPasses, ComputeOnlyWhatTheSlotDoesNotHold) {
  SequenceDecoder sequence(decoder_, {});
  Tokens tokens = random_tokens(config_, 20);
  const auto ask = [&](std::ptrdiff_t length) { sequence.next_logits({tokens.begin(), tokens.begin() + length}); };
  for (const std::ptrdiff_t length : {10, 11, 11, 8, 12}) ask(length);
  EXPECT_EQ(rows_of_passes(), (Rows{10, 1, 1, 1, 4}));
  tokens[5] = (tokens[5] + 1) % 50;
  ask(12);
  EXPECT_EQ(rows_of_passes(), (Rows{7}));
  for (const std::ptrdiff_t length : {16, 17, 18, 16}) ask(length);  // 17 and more take longrope's other factors
  EXPECT_EQ(rows_of_passes(), (Rows{4, 17, 1, 16}));
}

TEST_F(BatchDecoderPasses, HoldNoMoreRowsThanAllowedAndALongSequenceGoesAlone) {
  std::vector<Tokens> lists;
  for (const std::int64_t length : {3, 5, 1, 12, 4}) lists.push_back(random_tokens(config_, length));
  BatchDecoder batch(decoder_, {}, {.slots = 5, .rows_per_pass = 8});
  std::vector<BatchDecoder::Request> requests;
  for (std::size_t i = 0; i < 5; ++i) requests.push_back({.slot = static_cast<std::int64_t>(i), .tokens = lists[i]});
  const at::Tensor logits = batch.next_logits(requests);
  EXPECT_EQ(rows_of_passes(), (Rows{8, 1, 12, 4}));
  ASSERT_EQ(logits.size(0), 5);
  for (std::size_t i = 0; i < 5; ++i) expect_as_alone(logits[static_cast<std::int64_t>(i)], lists[i]);
}

TEST_F(BatchDecoderPasses, ThatFailLeaveWhatWasCompleteAndMayBeRepeated) {
  const Tokens grown = random_tokens(config_, 14), fresh = random_tokens(config_, 6);
  BatchDecoder batch(decoder_, {}, {.slots = 2});
  batch.next_logits({{.slot = 0, .tokens = std::span(grown).first(10)}});
  const std::vector<BatchDecoder::Request> requests = {{.slot = 0, .tokens = grown}, {.slot = 1, .tokens = fresh}};
  fails_ = true;
  EXPECT_THROW(batch.next_logits(requests), std::runtime_error);
  fails_ = false;
  rows_.clear();
  const at::Tensor logits = batch.next_logits(requests);
  EXPECT_EQ(rows_of_passes(), (Rows{4 + 6}));
  expect_as_alone(logits[0], grown);
  expect_as_alone(logits[1], fresh);
}

TEST_F(BatchDecoderPasses, ThatFailLeaveNoKeysOfTheOtherRotationToAShorterList) {
  const Tokens first = random_tokens(config_, 20);
  Tokens second(first.begin(), first.begin() + 18), third(first.begin(), first.begin() + 12);
  second[5] = third[5] =
      (first[5] + 1) % 50;  // both share five tokens with the first; 17 and more take the long factors
  BatchDecoder batch(decoder_, {}, {});
  batch.next_logits({{.slot = 0, .tokens = first}});
  fails_ = true;
  EXPECT_THROW(batch.next_logits({{.slot = 0, .tokens = second}}), std::runtime_error);
  fails_ = false;
  expect_as_alone(batch.next_logits({{.slot = 0, .tokens = third}})[0], third);
}

TEST_F(BatchDecoderPasses, NeedATokenAndARequest) {
  BatchDecoder batch(decoder_, {}, {});
  EXPECT_THROW(batch.next_logits({}), InternalError);
  EXPECT_THROW(batch.next_logits({{.slot = 0, .tokens = {}}}), InternalError);
}

}  // namespace
}  // namespace nkat::models
