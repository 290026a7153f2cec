#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>
#include <gtest/gtest.h>

#include "models/generation/generation.h"
#include "tests/support/tiny_model.h"

namespace nkat::models {
namespace {

using namespace nkat::testing;

// Refuses one allocation, as a full card does: the one that comes after `left` others.
class FailingAllocator final : public c10::Allocator {
 public:
  explicit FailingAllocator(std::int64_t left) : left_(left), before_(c10::GetCPUAllocator()) {
    c10::SetCPUAllocator(this, /*priority=*/100);
  }
  ~FailingAllocator() override { c10::SetCPUAllocator(before_, /*priority=*/100); }

  c10::DataPtr allocate(std::size_t bytes) override {
    TORCH_CHECK_WITH(OutOfMemoryError, left_-- != 0, "allocation failure asked for by a test");
    return before_->allocate(bytes);
  }
  c10::DeleterFnPtr raw_deleter() const override { return before_->raw_deleter(); }
  void copy_data(void* to, const void* from, std::size_t count) const override { default_copy_data(to, from, count); }
  bool failed() const { return left_ < 0; }

 private:
  std::int64_t left_;
  c10::Allocator* before_;
};

struct Outcome {
  std::vector<Generation> answers;
  BatchProgress last;
  bool failed = false;
};

Outcome run(const Decoder& decoder, const std::vector<std::vector<std::int32_t>>& prompts, std::int64_t fails_after) {
  Outcome result;
  FailingAllocator allocator(fails_after);
  result.answers = generate_batch(
      decoder, {}, prompts,
      {.max_new_tokens = 12, .max_sequences = 5, .cache_tokens = 10000, .progress = [&](const BatchProgress& progress) {
         result.last = progress;
       }});
  result.failed = allocator.failed();
  return result;
}

// Wherever it runs out, in a prompt's pass or a later one, in a cache or in an activation; the first ten allocations
// are those of the empty caches.
TEST(BatchGenerationMemory, RunningOutChangesNothingButTheBatch) {
  const ModelConfig config = tiny_config();
  const Decoder decoder = tiny_decoder(config, at::kDouble);
  std::vector<std::vector<std::int32_t>> prompts;
  for (const std::int64_t length : {6, 3, 12, 9, 4, 7, 2}) prompts.push_back(random_tokens(config, length));
  const Outcome whole = run(decoder, prompts, -1);
  ASSERT_EQ(whole.last.finished, 7);
  int failures = 0;
  for (std::int64_t fails_after = 10; fails_after < 4000; fails_after += 97) {
    const Outcome interrupted = run(decoder, prompts, fails_after);
    failures += interrupted.failed ? 1 : 0;
    for (std::size_t i = 0; i < prompts.size(); ++i) {
      EXPECT_EQ(interrupted.answers[i].tokens, whole.answers[i].tokens) << "prompt " << i << ", after " << fails_after;
    }
    EXPECT_EQ(interrupted.last.new_tokens, whole.last.new_tokens);
    EXPECT_EQ(interrupted.last.finished, 7);
  }
  EXPECT_GT(failures, 20);
}

TEST(BatchGenerationMemory, OneSequenceThatDoesNotFitIsAnError) {
  const ModelConfig config = tiny_config();
  const Decoder decoder = tiny_decoder(config, at::kDouble);
  EXPECT_THROW(run(decoder, {random_tokens(config, 5)}, 10), c10::OutOfMemoryError);
}

}  // namespace
}  // namespace nkat::models
