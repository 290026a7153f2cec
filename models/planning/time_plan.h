// How long training steps take on a named card, from the model's config alone: an estimate from published peaks and
// assumed shares of them.
//
// Assumptions: products reach the given share of their type's peak (in backward, those of an int8 matrix 0.38 of that,
// for the layout that cuBLASLt is slow in); attention and head are in BF16; ATen's separate steps to round inputs,
// scale sums and decode NF4 move their bytes at 0.85 of the memory's bandwidth and overlap nothing, which is too
// pessimistic where a card's cache holds a tile. Everything else is within the given share. Units: floating-point or
// 8-bit integer operations (a multiply-add is two), bytes, seconds.
#pragma once

#include <string>
#include <vector>

#include "models/planning/memory_plan.h"

namespace nkat::models {

// The makers' peak figures, without sparsity.
struct Card {
  std::string name;
  double bf16_tflops;  // accumulated in float32
  double int8_tops;
  double memory_gigabytes_per_second;
  double memory_gib;
};
const std::vector<Card>& known_cards();

// Operations of one sample of sequence_length tokens, forward and backward, causal attention counted at half,
// attention's backward at 2.5 times its forward; no backward below the first adapter layer. Of the dense model,
// whatever the base format.
double sample_flops(const ModelConfig& config, const PlanRequest& request, std::int64_t recomputed_layers);

// The work of one micro-batch, padded rows included.
struct MicroBatchWork {
  double bf16_operations = 0;
  double int8_operations = 0;       // in the fast layout
  double int8_back_operations = 0;  // in the slow one
  double quantization_bytes = 0;    // read and written outside the products

  MicroBatchWork& operator+=(const MicroBatchWork& other);
};
MicroBatchWork micro_batch_work(const ModelConfig& config, const PlanRequest& request, std::int64_t recomputed_layers);

// One figure per kind of work.
struct TimeByKind {
  double bf16 = 0, int8 = 0, quantization = 0;
  double total() const { return bf16 + int8 + quantization; }
};
// Assumed bandwidth of a card's memory, bytes per second.
double memory_rate(const Card& card);
// efficiency: the share of a peak that products reach, above 0.
TimeByKind micro_batch_seconds(const MicroBatchWork& work, const Card& card, double efficiency);

}  // namespace nkat::models
