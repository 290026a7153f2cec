// Log-probabilities of given continuations: the sum over the last tokens of each sequence.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "models/decoder.h"

namespace nkat::models {

struct ScoredSequence {
  std::vector<std::int32_t> tokens;
  std::int64_t first = 1;  // the tokens from here on are scored, each given all before it; >= 1 and < tokens.size()
};

struct ScoringOptions {
  std::int64_t tokens_per_pass = 2048;  // sequences are packed up to this many tokens; a longer one goes alone
  std::function<void(std::int64_t done, std::int64_t total)> progress = {};
};

// Nats (<= 0) per sequence: Σ log p(token | tokens before it), softmax in float32, summed in float64. adapter: as
// Decoder::hidden takes it. Throws Interrupted.
std::vector<double> log_probabilities(const Decoder& decoder, const std::vector<at::Tensor>& adapter,
                                      const std::vector<ScoredSequence>& sequences, const ScoringOptions& options);

}  // namespace nkat::models
