#include "models/generation/generation.h"

#include <algorithm>
#include <deque>

#include <fmt/format.h>

#include "core/cli/log.h"
#include "core/error.h"
#include "core/machine.h"
#include "core/message.h"
#include "core/signals.h"
#include "layers/kernels/device_info.h"
#include "models/device.h"

namespace nkat::models {

void check_prompt(const std::vector<std::int32_t>& prompt, const ModelConfig& config) {
  if (prompt.empty()) throw DataError("the prompt is empty: " + expected("at least one token", "none"));
  for (const std::int32_t token : prompt) {
    if (token < 0 || token >= config.vocab_size) {
      throw DataError(
          fmt::format("the prompt holds token {}, but the model's vocabulary has {}; does the tokenizer "
                      "belong to this model?",
                      token, config.vocab_size));
    }
  }
  if (static_cast<std::int64_t>(prompt.size()) >= config.max_position_embeddings) {
    throw DataError(fmt::format("the prompt has {} tokens, but the model takes {}; shorten it", prompt.size(),
                                config.max_position_embeddings));
  }
}

std::int32_t choose_token(const at::Tensor& logits, const SamplingOptions& options, RandomStream& random) {
  if (options.temperature == 0) return static_cast<std::int32_t>(logits.argmax().item<std::int64_t>());
  const at::Tensor scaled = logits.to(at::kCPU, at::kDouble) / options.temperature;
  const auto [probability, token] = at::softmax(scaled, 0).sort(/*stable=*/true, /*dim=*/0, /*descending=*/true);
  const auto mass = probability.cumsum(0);
  const auto* cumulative = mass.const_data_ptr<double>();
  const std::int64_t last = logits.size(0) - 1;
  std::int64_t kept = 0;  // the last token of the kept set
  while (kept < last && cumulative[kept] < options.top_p) ++kept;
  const double draw = random.uniform() * cumulative[kept];
  const std::int64_t rank = std::upper_bound(cumulative, cumulative + kept, draw) - cumulative;
  return static_cast<std::int32_t>(token[rank].item<std::int64_t>());
}

Generation generate(SequenceDecoder& sequence, const std::vector<std::int32_t>& prompt, const SamplingOptions& options,
                    const std::function<void(std::int32_t)>& on_token) {
  const ModelConfig& config = sequence.decoder().config();
  check_prompt(prompt, config);
  RandomStream random(options.seed, "generate");
  std::vector<std::int32_t> tokens = prompt;
  Generation result;
  while (static_cast<std::int64_t>(result.tokens.size()) < options.max_new_tokens) {
    if (static_cast<std::int64_t>(tokens.size()) >= config.max_position_embeddings) {
      result.stop = StopReason::kContextFull;
      break;
    }
    std::int32_t token = 0;
    try {
      token = choose_token(sequence.next_logits(tokens), options, random);
    } catch (const Interrupted&) {
      result.stop = StopReason::kSignal;
      break;
    }
    tokens.push_back(token);
    result.tokens.push_back(token);
    if (std::ranges::binary_search(config.end_tokens, token)) {
      result.stop = StopReason::kEndToken;
      break;
    }
    on_token(token);
  }
  return result;
}

namespace {

// The active sequences, and the prompts that wait.
class BatchScheduler {
 public:
  BatchScheduler(const Decoder& decoder, const std::vector<at::Tensor>& adapter,
                 const std::vector<std::vector<std::int32_t>>& prompts, const BatchGenerationOptions& options)
      : options_(options),
        config_(decoder.config()),
        prompts_(prompts),
        results_(prompts.size()),
        batch_(decoder, adapter, {.slots = options.max_sequences}),
        width_(options.max_sequences) {
    for (std::size_t prompt = 0; prompt < prompts.size(); ++prompt) waiting_.push_back(prompt);
    for (std::int64_t slot = options.max_sequences; slot > 0; --slot) free_slots_.push_back(slot - 1);
  }

  std::vector<Generation> run() {
    for (admit(); !active_.empty(); admit()) {
      if (!step_or_shrink()) continue;
      std::erase_if(active_, [this](const Active& active) { return retire_if_done(active); });
      if (options_.progress) options_.progress(progress_);
    }
    return std::move(results_);
  }

 private:
  struct Active {
    std::size_t prompt = 0;  // index
    std::int64_t slot = 0;
    std::int64_t reserved = 0;         // cache positions
    std::vector<std::int32_t> tokens;  // the prompt and its continuation
  };

  std::int64_t needed(const std::vector<std::int32_t>& prompt) const {
    return std::min(static_cast<std::int64_t>(prompt.size()) + options_.max_new_tokens,
                    config_.max_position_embeddings);
  }

  void admit() {
    while (!waiting_.empty() && static_cast<std::int64_t>(active_.size()) < width_) {
      const std::size_t prompt = waiting_.front();
      const std::int64_t reserved = needed(prompts_[prompt]);
      if (!active_.empty() && reserved_ + reserved > options_.cache_tokens) return;
      const std::int64_t slot = free_slots_.back();
      waiting_.pop_front();
      free_slots_.pop_back();
      reserved_ += reserved;
      batch_.reserve(slot, reserved);
      active_.push_back({.prompt = prompt, .slot = slot, .reserved = reserved, .tokens = prompts_[prompt]});
    }
  }

  // False if memory ran out: the most recently started half waits again, and the batch stays that narrow.
  bool step_or_shrink() {
    try {
      step();
      return true;
    } catch (const std::exception& error) {
      if (!is_out_of_memory(error) || active_.size() == 1) throw;
    }
    width_ = static_cast<std::int64_t>(active_.size()) / 2;
    while (static_cast<std::int64_t>(active_.size()) > width_) {
      const Active& last_started = active_.back();
      progress_.new_tokens -= static_cast<std::int64_t>(results_[last_started.prompt].tokens.size());
      results_[last_started.prompt].tokens.clear();
      waiting_.push_front(last_started.prompt);
      free_slot(last_started);
      active_.pop_back();
    }
    if (batch_.decoder().device().is_cuda()) layers::cuda_empty_cache(batch_.decoder().device().index());
    log::warning(fmt::format("out of memory: at most {} prompts at once from now on", width_));
    return false;
  }

  // One more token for each active sequence.
  void step() {
    std::vector<BatchDecoder::Request> requests;
    for (const Active& active : active_) requests.push_back({.slot = active.slot, .tokens = active.tokens});
    const at::Tensor most_likely = batch_.next_logits(requests).argmax(1).to(at::kCPU);
    for (std::size_t i = 0; i < active_.size(); ++i) {
      const auto token = static_cast<std::int32_t>(most_likely.const_data_ptr<std::int64_t>()[i]);
      active_[i].tokens.push_back(token);
      results_[active_[i].prompt].tokens.push_back(token);
    }
    progress_.new_tokens += static_cast<std::int64_t>(active_.size());
  }

  bool retire_if_done(const Active& active) {
    Generation& result = results_[active.prompt];
    if (std::ranges::binary_search(config_.end_tokens, result.tokens.back())) {
      result.stop = StopReason::kEndToken;
    } else if (static_cast<std::int64_t>(result.tokens.size()) >= options_.max_new_tokens) {
      result.stop = StopReason::kMaxNewTokens;
    } else if (static_cast<std::int64_t>(active.tokens.size()) >= config_.max_position_embeddings) {
      result.stop = StopReason::kContextFull;
    } else {
      return false;
    }
    free_slot(active);
    ++progress_.finished;
    return true;
  }

  void free_slot(const Active& active) {
    batch_.release(active.slot);
    free_slots_.push_back(active.slot);
    reserved_ -= active.reserved;
  }

  const BatchGenerationOptions& options_;
  const ModelConfig& config_;
  const std::vector<std::vector<std::int32_t>>& prompts_;
  std::vector<Generation> results_;
  BatchDecoder batch_;
  std::vector<std::int64_t> free_slots_;
  std::vector<Active> active_;
  std::deque<std::size_t> waiting_;  // indices of prompts
  std::int64_t width_;               // most active sequences
  std::int64_t reserved_ = 0;        // cache positions of all active sequences
  BatchProgress progress_ = {.finished = 0, .prompts = static_cast<std::int64_t>(prompts_.size()), .new_tokens = 0};
};

}  // namespace

std::vector<Generation> generate_batch(const Decoder& decoder, const std::vector<at::Tensor>& adapter,
                                       const std::vector<std::vector<std::int32_t>>& prompts,
                                       const BatchGenerationOptions& options) {
  for (const std::vector<std::int32_t>& prompt : prompts) check_prompt(prompt, decoder.config());
  if (options.max_new_tokens == 0) return std::vector<Generation>(prompts.size());
  return BatchScheduler(decoder, adapter, prompts, options).run();
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
