// Token loss of a model over a dataset and log-probabilities of given continuations, without gradients, and the iteration
// over packed samples that other measures share.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "data/datasets/dataset.h"
#include "models/decoder.h"
#include "models/packed_batch.h"

namespace nkat::models {

struct SampleLoss {
  double sum = 0.0;  // nats over the sample's targets
  std::int64_t targets = 0;
};

struct LossReport {
  std::vector<SampleLoss> samples;  // in the dataset's order
  std::int64_t target_tokens() const;
  double sum() const;   // nats
  double mean() const;  // nats per target token
};

struct EvaluationOptions {
  std::int64_t tokens_per_pass = 2048;  // samples are packed up to this many tokens; a longer one goes alone
  std::int64_t first = 0;               // only the samples first, first + every, first + 2 every, ...
  std::int64_t every = 1;
  std::function<void(std::int64_t done, std::int64_t total)> progress = {};  // samples, after each pass
};

// Calls visit with the selected samples in the dataset's order, packed for one forward pass at a time, on `device`.
// Throws Interrupted between passes.
void for_each_pass(const data::Dataset& dataset, at::Device device, const EvaluationOptions& options,
                   const std::function<void(const PackedBatch&)>& visit);

// values (R), one per target of `packed`: appends their sum per sample, in float64, so that a mean doesn't depend on
// the number of passes.
void append_sample_sums(const PackedBatch& packed, const at::Tensor& values, std::vector<SampleLoss>& samples);

// hidden (T, H) of `packed`: appends the token losses per sample.
void append_losses(const Decoder& decoder, const PackedBatch& packed, const at::Tensor& hidden, LossReport& report);

// adapter: as Decoder::hidden takes it.
LossReport evaluate_loss(const Decoder& decoder, const std::vector<at::Tensor>& adapter, const data::Dataset& dataset,
                         const EvaluationOptions& options);

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
