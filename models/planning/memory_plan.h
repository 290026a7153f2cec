// How much memory a training run takes, from the model's config alone: arithmetic, no tensors. What is kept for
// backward is what the headers in layers/ state; tests/models/planning/memory_plan_test.cpp compares it with the bytes
// that a run holds. Units: bytes, tokens.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "models/config.h"
#include "models/weights/weight_format.h"

namespace nkat::models {

struct PlanRequest {
  std::int64_t samples = 1;             // per micro-batch
  std::int64_t sequence_length = 1024;  // tokens per sample
  std::int64_t packed_tokens = 0;       // of a packed micro-batch, if more than samples * sequence_length
  std::int64_t element_bytes = 2;       // BF16
  LayerFormats forms = {};              // of the layers' matrices
  std::int64_t first_adapter_layer = 0;
  std::int64_t head_rows = 256;  // rows whose logits exist at once
  bool on_gpu = true;            // adds the driver's context and cuBLAS's workspace
  bool widened = false;          // a CPU computes BF16 products in float32 (layers/cpu/bf16_gemm.h)
  bool int8_in_float = false;    // a CPU computes 8-bit products in float32 (layers/quantized/int8_gemm.h)
  std::int64_t threads = 1;      // of a CPU; each has a tile of a product
  double budget_bytes = 0;

  std::int64_t micro_batch_tokens() const { return std::max(samples * sequence_length, packed_tokens); }
  // On a GPU the tokens are padded to whole tiles (train/micro_batch.cpp).
  std::int64_t micro_batch_rows() const;
};

struct MemoryPlan {
  std::int64_t recomputed_layers = 0;
  double weights = 0;      // the frozen model
  double activations = 0;  // kept from forward to backward
  double head = 0;         // logits of head_rows rows and their gradient
  double adapter = 0;      // on the device
  double workspace = 0;    // peak temporary memory of one layer's backward
  double context = 0;      // GPU: driver context and library workspaces (an allowance, not a measurement)
  // The head's part is freed before the first layer's backward begins, so only the larger of the two counts.
  double total() const { return weights + activations + std::max(head, workspace) + adapter + context; }
};

// Bytes that one layer keeps for backward per token. The lowest trained layer keeps its MLP output alone, since nothing
// below it needs a gradient.
double kept_bytes_per_token(const ModelConfig& config, std::int64_t element_bytes);

MemoryPlan plan_memory(const ModelConfig& config, const PlanRequest& request, std::int64_t recomputed_layers);
// The fewest recomputed layers with which the plan fits its budget; nothing if it doesn't fit with all of them.
std::optional<std::int64_t> fewest_recomputed_layers(const ModelConfig& config, const PlanRequest& request);
// The longest sequence that fits with all layers recomputed: a multiple of 64, at most max_position_embeddings; 0 if
// none.
std::int64_t longest_sequence(const ModelConfig& config, const PlanRequest& request);

// The most tokens of a packed micro-batch that fit with recomputed_layers: a multiple of 64, at most `most`; 0 if
// nothing beyond the samples fits.
std::int64_t packable_tokens(const ModelConfig& config, const PlanRequest& request, std::int64_t recomputed_layers,
                             std::int64_t most);

// Temporary memory of attention's backward, for samples as long as the limit: a CPU's threads each hold a head in
// float32.
double attention_workspace(const ModelConfig& config, const PlanRequest& request);

std::int64_t parameter_count(const ModelConfig& config);

}  // namespace nkat::models
