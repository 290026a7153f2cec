#include "models/generation/batch_generation.h"

#include <algorithm>
#include <deque>

#include <fmt/format.h>

#include "core/cli/log.h"
#include "core/machine.h"
#include "layers/kernels/device_info.h"
#include "models/device_errors.h"

namespace nkat::models {
namespace {

// The sequences in work, and the prompts that wait.
class Desk {
 public:
  Desk(const Decoder& decoder, const std::vector<at::Tensor>& blocks,
       const std::vector<std::vector<std::int32_t>>& prompts, const BatchGenerationOptions& options)
      : options_(options),
        config_(decoder.config()),
        prompts_(prompts),
        results_(prompts.size()),
        batch_(decoder, blocks, {.slots = options.max_sequences}),
        width_(options.max_sequences) {
    for (std::size_t prompt = 0; prompt < prompts.size(); ++prompt) waiting_.push_back(prompt);
    for (std::int64_t slot = options.max_sequences; slot > 0; --slot) free_slots_.push_back(slot - 1);
  }

  std::vector<Generation> run() {
    for (admit(); !work_.empty(); admit()) {
      if (!write_on_or_shrink()) continue;
      std::erase_if(work_, [this](const Work& work) { return leave_if_done(work); });
      if (options_.progress) options_.progress(progress_);
    }
    return std::move(results_);
  }

 private:
  struct Work {
    std::size_t prompt = 0;  // its number
    std::int64_t slot = 0;
    std::int64_t reserved = 0;         // cache positions
    std::vector<std::int32_t> tokens;  // the prompt and what has been written
  };

  std::int64_t needed(const std::vector<std::int32_t>& prompt) const {
    return std::min(static_cast<std::int64_t>(prompt.size()) + options_.max_new_tokens,
                    config_.max_position_embeddings);
  }

  void admit() {
    while (!waiting_.empty() && static_cast<std::int64_t>(work_.size()) < width_) {
      const std::size_t prompt = waiting_.front();
      const std::int64_t reserved = needed(prompts_[prompt]);
      if (!work_.empty() && reserved_ + reserved > options_.cache_tokens) return;
      const std::int64_t slot = free_slots_.back();
      waiting_.pop_front();
      free_slots_.pop_back();
      reserved_ += reserved;
      batch_.reserve(slot, reserved);
      work_.push_back({.prompt = prompt, .slot = slot, .reserved = reserved, .tokens = prompts_[prompt]});
    }
  }

  // False where the memory didn't suffice: the youngest half has gone back to wait, and the batch stays that narrow.
  bool write_on_or_shrink() {
    try {
      write_on();
      return true;
    } catch (const std::exception& error) {
      if (!is_out_of_memory(error) || work_.size() == 1) throw;
    }
    width_ = static_cast<std::int64_t>(work_.size()) / 2;
    while (static_cast<std::int64_t>(work_.size()) > width_) {
      const Work& youngest = work_.back();
      progress_.new_tokens -= static_cast<std::int64_t>(results_[youngest.prompt].tokens.size());
      results_[youngest.prompt].tokens.clear();
      waiting_.push_front(youngest.prompt);
      vacate(youngest);
      work_.pop_back();
    }
    if (batch_.decoder().device().is_cuda()) layers::cuda_empty_cache(batch_.decoder().device().index());
    log::warning(fmt::format("out of memory: from now on at most {} prompts in work at once", width_));
    return false;
  }

  // One token more for each sequence in work.
  void write_on() {
    std::vector<BatchDecoder::Request> requests;
    for (const Work& work : work_) requests.push_back({.slot = work.slot, .tokens = work.tokens});
    const at::Tensor likeliest = batch_.next_logits(requests).argmax(1).to(at::kCPU);
    for (std::size_t i = 0; i < work_.size(); ++i) {
      const auto token = static_cast<std::int32_t>(likeliest.const_data_ptr<std::int64_t>()[i]);
      work_[i].tokens.push_back(token);
      results_[work_[i].prompt].tokens.push_back(token);
    }
    progress_.new_tokens += static_cast<std::int64_t>(work_.size());
  }

  bool leave_if_done(const Work& work) {
    Generation& result = results_[work.prompt];
    if (std::ranges::binary_search(config_.end_tokens, result.tokens.back())) {
      result.stop = StopReason::kEndToken;
    } else if (static_cast<std::int64_t>(result.tokens.size()) >= options_.max_new_tokens) {
      result.stop = StopReason::kMaxNewTokens;
    } else if (static_cast<std::int64_t>(work.tokens.size()) >= config_.max_position_embeddings) {
      result.stop = StopReason::kContextFull;
    } else {
      return false;
    }
    vacate(work);
    ++progress_.finished;
    return true;
  }

  void vacate(const Work& work) {
    batch_.release(work.slot);
    free_slots_.push_back(work.slot);
    reserved_ -= work.reserved;
  }

  const BatchGenerationOptions& options_;
  const Phi3Config& config_;
  const std::vector<std::vector<std::int32_t>>& prompts_;
  std::vector<Generation> results_;
  BatchDecoder batch_;
  std::vector<std::int64_t> free_slots_;
  std::vector<Work> work_;
  std::deque<std::size_t> waiting_;  // numbers of prompts
  std::int64_t width_;               // sequences in work at once, at most
  std::int64_t reserved_ = 0;        // cache positions of all work
  BatchProgress progress_ = {.finished = 0, .prompts = static_cast<std::int64_t>(prompts_.size()), .new_tokens = 0};
};

}  // namespace

std::vector<Generation> generate_batch(const Decoder& decoder, const std::vector<at::Tensor>& blocks,
                                       const std::vector<std::vector<std::int32_t>>& prompts,
                                       const BatchGenerationOptions& options) {
  for (const std::vector<std::int32_t>& prompt : prompts) check_prompt(prompt, decoder.config());
  if (options.max_new_tokens == 0) return std::vector<Generation>(prompts.size());
  return Desk(decoder, blocks, prompts, options).run();
}

std::int64_t cache_bytes_per_token(const Decoder& decoder) {
  const layers::HeadShape heads = decoder.heads();
  return 2 * decoder.num_layers() * heads.num_key_value_heads * heads.head_dim *
         static_cast<std::int64_t>(c10::elementSize(decoder.dtype()));
}

std::int64_t free_cache_tokens(const Decoder& decoder) {
  constexpr std::int64_t kPassBytes = std::int64_t{512} << 20;
  std::int64_t bytes = static_cast<std::int64_t>(available_memory_bytes() / 2);
  if (decoder.device().is_cuda()) {
    const int device = std::max<int>(decoder.device().index(), 0);
    const layers::CudaAllocatorStats held = layers::cuda_allocator_stats(device);
    bytes = static_cast<std::int64_t>(layers::cuda_free_bytes(device) + held.reserved_bytes - held.allocated_bytes) -
            kPassBytes;
  }
  return std::max<std::int64_t>(bytes, 0) / cache_bytes_per_token(decoder);
}

}  // namespace nkat::models
