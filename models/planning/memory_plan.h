// How much memory a training run takes, from the model's config alone: arithmetic, no tensors.
// What is kept for backward is what layers/ say they keep; tests/models/planning/memory_plan_test.cpp compares it with the bytes
// that a run really holds. models/planning/time_plan.h says how long it takes. Units: bytes, tokens.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "models/config.h"
#include "models/weights/weight_format.h"

namespace nkat::models {

struct PlanRequest {
  std::int64_t samples = 1;             // of a micro-batch
  std::int64_t sequence_length = 1024;  // tokens of each
  std::int64_t packed_tokens = 0;       // of a packed micro-batch; counts where it is more than the samples hold
  std::int64_t element_bytes = 2;       // BF16
  LayerFormats forms = {};              // of the layers' matrices
  std::int64_t first_adapter_layer = 0;
  std::int64_t head_rows = 256;  // rows whose logits exist at once
  bool on_gpu = true;            // adds the driver's context and cuBLAS's workspace
  bool widened = false;          // a CPU takes BF16 products in float32 (layers/cpu/bf16_gemm.h)
  bool int8_in_float = false;    // a CPU takes 8-bit products in float32 (layers/quantized/int8.h)
  std::int64_t threads = 1;      // of a CPU, each of which has a tile of a product
  double budget_bytes = 0;

  std::int64_t micro_batch_tokens() const { return std::max(samples * sequence_length, packed_tokens); }
  // What is computed and held: on a GPU the tokens are padded to whole tiles (train/micro_batch.cpp).
  std::int64_t micro_batch_rows() const;
};

struct MemoryPlan {
  std::int64_t recomputed_layers = 0;
  double weights = 0;      // the frozen model
  double activations = 0;  // kept from forward to backward
  double head = 0;         // logits of head_rows rows and their gradient
  double adapter = 0;      // what the device holds of it
  double workspace = 0;    // what one layer needs at once on its way back, the largest product's included
  double context = 0;      // GPU: driver context and library workspaces (an allowance, not a measurement)
  // The head's part is freed before the first layer's way back begins, so only the larger of the two counts.
  double total() const { return weights + activations + std::max(head, workspace) + adapter + context; }
};

// Bytes kept for backward by one layer for each token; the lowest trained layer keeps less, since nothing below it
// wants a gradient: its MLP output alone.
double kept_bytes_per_token(const Phi3Config& config, std::int64_t element_bytes);

MemoryPlan plan_memory(const Phi3Config& config, const PlanRequest& request, std::int64_t recomputed_layers);
// The fewest recomputed layers with which the plan fits its budget; nothing if not even all of them do.
std::optional<std::int64_t> fewest_recomputed_layers(const Phi3Config& config, const PlanRequest& request);
// The longest sequence that fits with all layers recomputed, a multiple of 64, at most what the model can address; 0 if
// none.
std::int64_t longest_sequence(const Phi3Config& config, const PlanRequest& request);

// The most tokens that a packed micro-batch can hold without a layer more that recomputes than the request needs
// unpacked; a multiple of 64, at most `most`. 0: nothing beyond the samples fits.
std::int64_t packable_tokens(const Phi3Config& config, const PlanRequest& request, std::int64_t recomputed_layers,
                             std::int64_t most);

std::int64_t parameter_count(const Phi3Config& config);

}  // namespace nkat::models
