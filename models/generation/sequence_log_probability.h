// How likely a model holds given continuations: the sum of log-probabilities of a text's last tokens.
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

// Nats (<= 0), one a sequence: Σ log p(token | tokens before it), softmax in float32, summed in float64. blocks: as
// Decoder::hidden takes them. Throws Interrupted when a stop was asked for.
std::vector<double> log_probabilities(const Decoder& decoder, const std::vector<at::Tensor>& blocks,
                                      const std::vector<ScoredSequence>& sequences, const ScoringOptions& options);

}  // namespace nkat::models
