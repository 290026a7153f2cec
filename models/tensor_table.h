// The tensors of a model in one table a family: role, names, shape. Loader, streamed pass, fingerprints, exporter and
// self-test iterate over it, so that another decoder family is another table. No LibTorch.
//
// Two views of the same rows. Files hold *stored* tensors, each under its own names. The decoder holds query, key and
// value rows as one matrix and gate and up rows as another; where a family stores them apart, the decoder's tensor is
// *stacked*: `parts` lists the stored tensors in the order of their rows, and it has no names of its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "models/config.h"

namespace nkat::models {

// A matrix and its bias share a role.
enum class TensorRole {
  kEmbedding,
  kInputNorm,
  kQkv,
  kQueryNorm,
  kKeyNorm,
  kAttentionOutput,
  kPostAttentionNorm,
  kGateUp,
  kDown,
  kFinalNorm,
  kHead,
};
enum class TensorKind { kEmbedding, kNorm, kMatrix, kBias };
// Which rows of its role's tensor a stored tensor holds.
enum class TensorPart { kWhole, kQuery, kKey, kValue, kGate, kUp };

// (out, in); a vector is one row.
struct MatrixShape {
  std::size_t rows = 0, columns = 0;
  std::size_t elements() const { return rows * columns; }
};

struct TensorSpec {
  TensorRole role = TensorRole::kEmbedding;
  TensorKind kind = TensorKind::kEmbedding;
  TensorPart part = TensorPart::kWhole;
  std::int64_t layer = -1;  // -1: outside the layers
  std::string name = {};    // in a Hugging Face checkpoint; of a tied head the embedding's; "" of a stacked tensor
  std::string gguf_name = {};
  std::vector<std::int64_t> shape = {};  // (n) or (out, in)
  bool is_tied = false;                  // the head of a tied model: the checkpoint holds the embedding alone
  // Of so many heads a GGUF file holds channels i and i + d/2 next to each other, as llama.cpp rotates them; 0: it
  // holds the rows as they are.
  std::int64_t gguf_paired_heads = 0;
  std::vector<TensorSpec> parts = {};  // of a stacked tensor

  bool is_layer_matrix() const { return kind == TensorKind::kMatrix && layer >= 0; }
  MatrixShape matrix() const;
  std::vector<std::uint64_t> gguf_sizes() const;  // ggml's order: the row length first
  // The stored tensors it is read from: its parts, or itself.
  std::vector<TensorSpec> stored() const { return parts.empty() ? std::vector{*this} : parts; }
  // Where a GGUF file has this row (of a vector: element), and the other way round.
  std::size_t gguf_row(std::size_t row) const;
  std::size_t checkpoint_row(std::size_t gguf_row) const;
};

// Every stored tensor in forward order, a tied head included.
std::vector<TensorSpec> model_tensors(const ModelConfig& config);
// Those that a checkpoint holds: without a tied head.
std::vector<TensorSpec> checkpoint_tensors(const ModelConfig& config);

// The decoder's tensors, stacked where they are: of all the model, a tied head included, and of one layer.
std::vector<TensorSpec> decoder_tensors(const ModelConfig& config);
std::vector<TensorSpec> layer_tensors(const ModelConfig& config, std::int64_t layer);
// The decoder's matrices of one layer; all layers have the same shapes.
std::vector<TensorSpec> layer_matrices(const ModelConfig& config);
// The decoder's tensor of a role, no bias. layer: -1 for a role outside the layers. InternalError for a role that isn't
// there.
TensorSpec model_tensor(const ModelConfig& config, TensorRole role, std::int64_t layer = -1);
// The bias of down_proj, whose rows an adapter changes like the matrix's; nothing if the model has none.
std::optional<TensorSpec> down_bias(const ModelConfig& config, std::int64_t layer);

// The tensors of a GGUF file that no checkpoint holds, float32 (rotary_dim / 2): longrope's factors, and what divides
// the frequencies of every length.
inline constexpr const char* kGgufLongFactors = "rope_factors_long.weight";
inline constexpr const char* kGgufShortFactors = "rope_factors_short.weight";
inline constexpr const char* kGgufRopeFactors = "rope_freqs.weight";

// Computed values that some writers store and nobody reads: `*.rotary_emb.inv_freq`.
bool is_computed_tensor(const std::string& name);

}  // namespace nkat::models
