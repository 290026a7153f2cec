// The tensors of a Phi-3 model in one table: role, names, shape. Loader, streamed pass, fingerprints, exporter and
// self-test iterate over it, so that another decoder family is another table. No LibTorch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "models/config.h"

namespace nkat::models {

enum class TensorRole {
  kEmbedding,
  kInputNorm,
  kQkv,
  kAttentionOutput,
  kPostAttentionNorm,
  kGateUp,
  kDown,
  kFinalNorm,
  kHead,
};
enum class TensorKind { kEmbedding, kNorm, kMatrix };

// (out, in); a vector is one row.
struct MatrixShape {
  std::size_t rows = 0, columns = 0;
  std::size_t elements() const { return rows * columns; }
};

struct TensorSpec {
  TensorRole role = TensorRole::kEmbedding;
  TensorKind kind = TensorKind::kEmbedding;
  std::int64_t layer = -1;  // -1: outside the layers
  std::string name = {};    // in a Hugging Face checkpoint; of a tied head the embedding's
  std::string gguf_name = {};
  std::vector<std::int64_t> shape = {};  // (n) or (out, in)
  bool is_tied = false;                  // the head of a tied model: the checkpoint holds the embedding alone

  bool is_layer_matrix() const { return kind == TensorKind::kMatrix && layer >= 0; }
  MatrixShape matrix() const;
  std::vector<std::uint64_t> gguf_sizes() const;  // ggml's order: the row length first
};

// Every tensor in forward order, a tied head included.
std::vector<TensorSpec> model_tensors(const ModelConfig& config);
// Those that a checkpoint holds: without a tied head.
std::vector<TensorSpec> checkpoint_tensors(const ModelConfig& config);
std::vector<TensorSpec> layer_tensors(const ModelConfig& config, std::int64_t layer);
// The matrices of one layer; all layers have the same shapes.
std::vector<TensorSpec> layer_matrices(const ModelConfig& config);
// layer: -1 for a role outside the layers. InternalError for a role that isn't there.
TensorSpec model_tensor(const ModelConfig& config, TensorRole role, std::int64_t layer = -1);

// The tensors of a GGUF file that no checkpoint holds: longrope's factors, float32 (rotary_dim / 2).
inline constexpr const char* kGgufLongFactors = "rope_factors_long.weight";
inline constexpr const char* kGgufShortFactors = "rope_factors_short.weight";

// Computed values that some writers store and nobody reads: `*.rotary_emb.inv_freq`.
bool is_computed_tensor(const std::string& name);

}  // namespace nkat::models
