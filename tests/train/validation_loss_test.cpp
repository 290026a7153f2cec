#include "train/validation_loss.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/message_of.h"
#include "tests/support/tiny_dataset.h"
#include "tests/support/tiny_model.h"
#include "train/memory/tracking_allocator.h"

namespace nkat::train {
namespace {

using ::testing::HasSubstr;
using testing::message_of;

models::ModelConfig config_of_the_tokenizer() {
  models::ModelConfig config = testing::tiny_config();
  config.vocab_size = testing::kTinyVocabulary;
  return config;
}

class ValidationLossTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { install_tracking_allocator(); }
  ValidationLossTest() {
    std::string lines;
    for (int i = 0; i < 64; ++i)
      lines += "{\"text\":\"hello" + std::string(static_cast<std::size_t>(i % 7) + 20, 'a') + "\"}\n";
    dataset_.emplace(testing::tiny_dataset(folder_, lines));
    loss_.emplace(decoder_, *dataset_, alone_, monitor_);
  }
  ~ValidationLossTest() override { set_tracking_allocator_limit(0); }

  double validate() {
    return (*loss_)(adapter_, [&](const std::string& event) { events_.push_back(event); });
  }
  // Bytes that a call takes beside what is held before it.
  template <class Call>
  std::uint64_t bytes_needed(const Call& call) {
    reset_tracking_allocator_peak();
    call();
    return tracking_allocator_figures().peak_bytes - tracking_allocator_figures().current_bytes;
  }
  void allow(std::uint64_t bytes) { set_tracking_allocator_limit(tracking_allocator_figures().current_bytes + bytes); }

  testing::TemporaryFolder folder_;
  models::ModelConfig config_ = config_of_the_tokenizer();
  models::Decoder decoder_ = testing::tiny_decoder(config_, at::kFloat);
  models::Adapter adapter_ = models::init_adapter(config_, {.alpha = 0.5, .weight_std = 0.3, .seed = 3});
  std::optional<data::Dataset> dataset_;
  ProcessGroup alone_;
  MemoryMonitor monitor_{at::kCPU, 0};
  std::optional<ValidationLoss> loss_;
  std::vector<std::string> events_;
};

TEST_F(ValidationLossTest, IsTheMeanOverTheTargetsOfTheWholeData) {
  const models::LossReport report =
      models::evaluate_loss(decoder_, adapter_.matrices(at::kCPU), *dataset_, {.tokens_per_pass = 1});
  ASSERT_EQ(report.samples.size(), 64U);
  // Losses are float32 sums of at most 311 logits' exponentials; passes of other sizes round them otherwise.
  EXPECT_NEAR(validate(), report.mean(), 1e-5 * report.mean());
  EXPECT_TRUE(events_.empty());
}

TEST_F(ValidationLossTest, TakesFewerTokensAtATimeWhenMemoryRunsOut) {
  const double whole = validate();
  allow(bytes_needed([&] { validate(); }) / 3);
  EXPECT_NEAR(validate(), whole, 1e-5 * whole);
  ASSERT_FALSE(events_.empty());
  EXPECT_EQ(events_.front(), "validating 1024 tokens at a time");
  const std::size_t changes = events_.size();
  validate();
  EXPECT_EQ(events_.size(), changes);  // what fits is kept for the next validation
}

TEST_F(ValidationLossTest, SaysWhatToDoWhenOneSampleDoesNotFit) {
  allow(bytes_needed([&] { adapter_.matrices(at::kCPU); }) + 1000);
  EXPECT_THAT(message_of([&] { validate(); }),
              HasSubstr("use a smaller --max-sequence-length or a larger --vram-budget-gib"));
  EXPECT_EQ(events_.back(), "validating 16 tokens at a time");
}

}  // namespace
}  // namespace nkat::train
