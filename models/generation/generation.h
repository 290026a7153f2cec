// Continues a prompt, one token at a time.
//
// Temperature 0 takes the most likely token (the first of equals). Otherwise a token is sampled from softmax(logits /
// temperature) restricted to the smallest set of most likely tokens whose probabilities reach top_p (nucleus sampling).
// RandomStream(seed, "generate"), computed in float64 on the CPU: a seed gives the same text on every run.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "core/random.h"
#include "models/generation/batch_decoder.h"

namespace nkat::models {

struct SamplingOptions {
  std::int64_t max_new_tokens = 256;
  double temperature = 0;  // >= 0
  double top_p = 1;        // in (0, 1]
  std::uint64_t seed = 0;
};

enum class StopReason { kEndToken, kMaxNewTokens, kContextFull, kSignal };

struct Generation {
  std::vector<std::int32_t> tokens;  // the new ones, the end token included
  StopReason stop = StopReason::kMaxNewTokens;
};

// Throws DataError if the prompt is empty, holds a token outside the vocabulary, or leaves no room before
// max_position_embeddings.
void check_prompt(const std::vector<std::int32_t>& prompt, const Phi3Config& config);

// logits (V) -> a token
std::int32_t choose_token(const at::Tensor& logits, const SamplingOptions& options, RandomStream& random);

// Calls on_token for each new token that is not an end token, as soon as it is known. Checks the prompt first.
Generation generate(SequenceDecoder& sequence, const std::vector<std::int32_t>& prompt, const SamplingOptions& options,
                    const std::function<void(std::int32_t)>& on_token);

}  // namespace nkat::models
