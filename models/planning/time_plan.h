// How long training steps take on a named card, from the model's config alone: an estimate, since it rests on published
// peaks and on shares of them that nobody has measured with this program.
//
// What it takes for granted: products reach the given share of the peak of the kind they are (8-bit ones of an int8
// matrix on the way back 0.38 of that, for the layout that cuBLASLt is slow in); attention and head are in BF16; what
// ATen's separate steps read and write to round inputs, scale sums and widen NF4 moves at 0.85 of the memory's
// bandwidth and overlaps nothing, which is too much where a card's cache holds a tile. Everything else is within the
// given share. Units: floating-point or 8-bit integer operations (a multiply-add is two), bytes, seconds.
#pragma once

#include <string>
#include <vector>

#include "models/planning/memory_plan.h"

namespace nkat::models {

// Peaks are the makers' figures, dense.
struct Card {
  std::string name;
  double bf16_tflops;  // accumulated in float32
  double int8_tops;
  double memory_gigabytes_per_second;
  double memory_gib;
};
const std::vector<Card>& known_cards();

// Operations of one sample of sequence_length tokens, forward and backward, causal attention counted at half,
// attention's backward at 2.5 times its forward; nothing below the first adapter layer is in the backward. Of the dense
// model, whatever the base kind.
double sample_flops(const Phi3Config& config, const PlanRequest& request, std::int64_t recomputed_layers);

// What a card does for one micro-batch, padded rows included.
struct MicroBatchWork {
  double bf16_operations = 0;
  double int8_operations = 0;       // in the layout that products are fast in
  double int8_back_operations = 0;  // in the other one
  double quantization_bytes = 0;    // read and written beside the products

  MicroBatchWork& operator+=(const MicroBatchWork& other);
};
MicroBatchWork micro_batch_work(const Phi3Config& config, const PlanRequest& request, std::int64_t recomputed_layers);

// Of the kinds of work, in the unit of what gives it.
struct TimeByKind {
  double bf16 = 0, int8 = 0, quantization = 0;
  double total() const { return bf16 + int8 + quantization; }
};
// Bytes a second that a card's memory is taken to move.
double memory_rate(const Card& card);
// efficiency: the share of a peak that products reach, above 0.
TimeByKind micro_batch_seconds(const MicroBatchWork& work, const Card& card, double efficiency);

}  // namespace nkat::models
