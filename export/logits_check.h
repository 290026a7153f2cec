// The logits of a written model beside those of backbone + adapter, on a few prompts.
//
// The adapter acts on activations here, x + M h as in training, not through merged weights: so the merge, the encoding,
// and which tensor goes where are checked at once, by another path than the one that wrote the file. Both are walked
// layer by layer in float32 (models/layerwise.h), KL in float64:
//
//   KL(p || q) = Σ_v p_v (log p_v - log q_v)  a token, p of backbone + adapter, q of the file, in nats
//
// Memory: one layer's matrices (452 MiB for Phi-3.5-mini), and the logits of all tokens, three times. Throws
// Interrupted between layers when a stop was asked for.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "export/merged_weights.h"
#include "export/quantization_mix.h"
#include "models/config.h"

namespace nkat::exporting {

using Prompts = std::vector<std::vector<std::int32_t>>;

struct LogitsCheck {
  std::int64_t prompts = 0;
  std::int64_t tokens = 0;
  double mean_kl = 0;
  double largest_kl = 0;
  double top1_agreement = 0;           // share of tokens whose most likely successor is the same
  std::optional<double> base_mean_kl;  // from the base without adapter instead of the file; none without adapter
  double maximum_kl = 0;               // the bound on mean_kl
};

// The written weights, and the config by which their tensors are named: of a tied model's GGUF file the head is a
// tensor of its own.
struct WrittenModel {
  const models::Phi3Config& config;
  const WeightSource& weights;
};

LogitsCheck check_logits(const models::Phi3Config& config, const MergedWeights& weights, const WrittenModel& written,
                         const Prompts& prompts);

// The mean KL that no sound file of this mix reaches: ten times the larger of what the demo model has (trained gates
// and wide open ones: 5e-4 in q8_0, 0.035 in q4_k_m, 0.1 in q4_0) and what llama.cpp publishes for Llama 3 8B (1.4e-3,
// 0.031, 0.072), the mixes of as many bits together; for f32, f16 and bf16, where both are nearly nothing, room for
// deeper models. It is there for files that compute something else, which are nats away.
double default_maximum_kl(Mix mix);

}  // namespace nkat::exporting
