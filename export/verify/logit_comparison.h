// The logits of a written model compared with those of backbone + adapter, on a few prompts.
//
// The adapter acts on activations here, x + M h as in training, not through merged weights: this checks the merge, the
// encoding and the placement of tensors at once, by another path than the one that wrote the file. Both models run
// layer by layer in float32 (models/weights/streamed_forward.h), KL in float64:
//
//   KL(p || q) = Σ_v p_v (log p_v - log q_v)  per token, p of backbone + adapter, q of the file, in nats
//
// Memory: one layer's matrices (452 MiB for Phi-3.5-mini), and the logits of all tokens, three times. Throws
// Interrupted between layers.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "data/quantize/ggml_type.h"
#include "export/merge/merged_weights.h"
#include "models/config.h"

namespace nkat::exporting {

using Prompts = std::vector<std::vector<std::int32_t>>;

struct LogitComparison {
  std::int64_t prompts = 0;
  std::int64_t tokens = 0;
  double mean_kl = 0;
  double largest_kl = 0;
  double top1_agreement = 0;           // share of tokens whose most likely successor is the same
  std::optional<double> base_mean_kl;  // from the base without adapter instead of the file; none without adapter
  double maximum_kl = 0;               // the bound on mean_kl
};

// The written weights and the config that names their tensors: in a tied model's GGUF file the head is a tensor of its
// own.
struct WrittenModel {
  const models::ModelConfig& config;
  const models::WeightSource& weights;
};

LogitComparison compare_logits(const models::ModelConfig& config, const MergedWeights& weights,
                               const WrittenModel& written, const Prompts& prompts);

// A mean KL well above that of sound files whose coarsest weights are of this type; types of as many bits share a
// bound. In 4 and 5 bits ten times the demo model's (0.1 in q4_0, 0.019 in q5_k_s); more in finer types, where deep
// models lie higher: a random one of Phi-3.5-mini's size has 7.4e-3 in q8_0 (the demo 5e-4), and 0.65 in q4_0. The
// bound is for files that compute something else, which are nats away.
double default_maximum_kl(gguf::GgmlType type);

}  // namespace nkat::exporting
