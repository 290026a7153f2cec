#include "models/generation/generation.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.h"
#include "core/message.h"
#include "core/signals.h"

namespace nkat::models {

void check_prompt(const std::vector<std::int32_t>& prompt, const Phi3Config& config) {
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
  const Phi3Config& config = sequence.decoder().config();
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

}  // namespace nkat::models
