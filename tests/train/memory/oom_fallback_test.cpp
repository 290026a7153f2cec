#include "train/memory/oom_fallback.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/message_of.h"
#include "train/memory/tracking_allocator.h"

namespace nkat::train {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

models::PackedBatch four_samples() {
  models::PackedBatch packed;
  packed.lengths = {2, 3, 1, 2};
  packed.samples = {10, 11, 12, 13};
  packed.tokens = at::arange(8);
  packed.target_rows = at::tensor(std::vector<std::int64_t>{0, 3, 6});
  packed.targets = at::tensor(std::vector<std::int64_t>{1, 4, 7});
  return packed;
}

class OomFallbackTest : public ::testing::Test {
 protected:
  OomFallback make(std::int64_t layers, std::int64_t samples) {
    settings_ = {
        .recomputed_layers = 0, .head_rows = 32, .micro_batch_samples = samples, .batch_samples = batch_samples_};
    return {layers, settings_, monitor_, [this](const std::string& event) { events_.push_back(event); }};
  }
  MemoryMonitor monitor_{at::Device(at::kCPU), 0};
  MemorySettings settings_;
  std::vector<std::string> events_;
  std::int64_t batch_samples_ = 4;
  int discarded_ = 0;
};

[[noreturn]] void run_out() { TORCH_CHECK_WITH(OutOfMemoryError, false, "asked for by the test"); }

TEST_F(OomFallbackTest, RecomputesFirstThenSplitsThenTakesTheHeadInPieces) {
  OomFallback fallback = make(4, 4);
  int failures = 4 + 2 + 1;
  const auto run = [&](const models::PackedBatch&, const MemorySettings&) -> double {
    if (failures-- > 0) run_out();
    return 1.0;
  };
  fallback.run(four_samples(), run, [&] { ++discarded_; });
  EXPECT_THAT(events_,
              ElementsAre("recomputing 1 of 4 layers", "recomputing 2 of 4 layers", "recomputing 3 of 4 layers",
                          "recomputing 4 of 4 layers", "splitting micro-batches to 2 samples",
                          "splitting micro-batches to 1 samples", "computing logits of 16 rows at a time"));
  EXPECT_EQ(discarded_, 7);
  EXPECT_EQ(settings_.recomputed_layers, 4);
  EXPECT_EQ(settings_.micro_batch_samples, 1);
  EXPECT_EQ(settings_.head_rows, 16);
}

TEST_F(OomFallbackTest, SplitsWhatWasPackedBeforeItRecomputes) {
  batch_samples_ = 1;
  OomFallback fallback = make(1, 32);
  int failures = 3;
  const auto run = [&](const models::PackedBatch&, const MemorySettings&) -> double {
    if (failures-- > 0) run_out();
    return 1.0;
  };
  fallback.run(four_samples(), run, [] {});
  EXPECT_THAT(events_, ElementsAre("splitting micro-batches to 2 samples", "splitting micro-batches to 1 samples",
                                   "recomputing 1 of 1 layers"));
}

TEST_F(OomFallbackTest, ASplitMicroBatchCoversEverySampleAndTargetOnce) {
  OomFallback fallback = make(0, 1);
  std::vector<std::int64_t> samples, targets;
  const double sum = fallback.run(
      four_samples(),
      [&](const models::PackedBatch& piece, const MemorySettings&) {
        samples.insert(samples.end(), piece.samples.begin(), piece.samples.end());
        for (std::int64_t i = 0; i < piece.target_count(); ++i) {
          targets.push_back(piece.targets[i].item<std::int64_t>());
          // A row predicts the token after it: in this arange the target is its row's token plus one.
          EXPECT_EQ(piece.tokens[piece.target_rows[i]].item<std::int64_t>() + 1, targets.back());
        }
        return static_cast<double>(piece.target_count());
      },
      [] {});
  EXPECT_EQ(sum, 3.0);
  EXPECT_THAT(samples, ElementsAre(10, 11, 12, 13));
  EXPECT_THAT(targets, ElementsAre(1, 4, 7));
}

TEST_F(OomFallbackTest, SaysWhatWasTriedWhenNothingIsLeft) {
  OomFallback fallback = make(2, 1);
  const std::string message = nkat::testing::message_of<DeviceError>([&] {
    fallback.run(
        four_samples(), [](const models::PackedBatch&, const MemorySettings&) -> double { run_out(); }, [] {});
  });
  EXPECT_THAT(message, HasSubstr("recomputed layers   2 of 2"));
  EXPECT_THAT(message, HasSubstr("--max-sequence-length"));
}

TEST_F(OomFallbackTest, LetsOtherErrorsPass) {
  OomFallback fallback = make(2, 1);
  const auto run = [](const models::PackedBatch&, const MemorySettings&) -> double {
    TORCH_CHECK(false, "another error");
    return 0;
  };
  EXPECT_THROW(fallback.run(four_samples(), run, [] {}), c10::Error);
  EXPECT_TRUE(events_.empty());
}

}  // namespace
}  // namespace nkat::train
