// Token loss of a model over a dataset, without gradients.
#pragma once

#include <functional>
#include <vector>

#include "data/dataset.h"
#include "models/decoder.h"

namespace nkat::models {

struct SampleLoss {
  double sum = 0.0;  // nats over the sample's targets
  std::int64_t targets = 0;
};

struct LossReport {
  std::vector<SampleLoss> samples;  // in the dataset's order
  std::int64_t target_tokens() const;
  double mean() const;  // nats per target token
};

struct EvaluationOptions {
  std::int64_t tokens_per_pass = 2048;  // samples are packed up to this many tokens; a longer one goes alone
  std::function<void(std::int64_t done, std::int64_t total)> progress = {};
};

// blocks: by layer, (N, 8, 8) float32 on the decoder's device or undefined; empty: the bare model. Throws Interrupted
// when a stop was asked for.
LossReport evaluate_loss(const Decoder& decoder, const std::vector<at::Tensor>& blocks, const data::Dataset& dataset,
                         const EvaluationOptions& options);

}  // namespace nkat::models
