// How the frozen base is held: `--base safe|balanced|aggressive`, and what that means for each matrix of a layer.
// No LibTorch. Embedding, head and norms are always in the type that computes.
#pragma once

#include <cstdint>
#include <vector>

#include "core/enum_names.h"
#include "models/config.h"

namespace nkat::models {

enum class BaseFormat {
  kSafe,        // numbers of the type that computes
  kBalanced,    // 8-bit integers, one scale a row and one a column
  kAggressive,  // gate_up in NF4, one scale each 32 weights; the others as balanced
};

inline constexpr EnumNames<BaseFormat, 3> kBaseFormatNames = {
    {{BaseFormat::kSafe, "safe"}, {BaseFormat::kBalanced, "balanced"}, {BaseFormat::kAggressive, "aggressive"}}};

enum class MatrixRole { kQkv, kAttentionOutput, kGateUp, kDown };

struct WeightFormat {
  enum class Storage { kDense, kInt8, kNf4 };
  Storage storage = Storage::kDense;
  std::int64_t input_passes = 1;     // 8-bit passes over a product's input; of kInt8
  std::int64_t gradient_passes = 1;  // and over its gradient
};

// A form for each matrix of a layer.
struct LayerFormats {
  WeightFormat qkv = {}, attention_output = {}, gate_up = {}, down = {};
  const WeightFormat& of(MatrixRole role) const;
};
LayerFormats formats_of(BaseFormat kind);

struct MatrixShape {
  MatrixRole role;
  std::int64_t rows, columns;
};
std::vector<MatrixShape> layer_matrices(const Phi3Config& config);

// Bytes that a matrix takes in a form.
double matrix_bytes(const MatrixShape& shape, const WeightFormat& form, std::int64_t element_bytes);

}  // namespace nkat::models
