// How the frozen base is held: `--base safe|balanced|aggressive`, and the format of each matrix of a layer. Embedding,
// head and norms are always in the compute type. No LibTorch.
#pragma once

#include <cstdint>
#include <vector>

#include "core/enum_names.h"
#include "models/tensor_table.h"

namespace nkat::models {

enum class BaseFormat {
  kSafe,        // in the compute type
  kBalanced,    // 8-bit integers, one scale per row and one per column
  kAggressive,  // gate_up in NF4, one scale per 32 weights; the others as balanced
};

inline constexpr EnumNames<BaseFormat, 3> kBaseFormatNames = {
    {{BaseFormat::kSafe, "safe"}, {BaseFormat::kBalanced, "balanced"}, {BaseFormat::kAggressive, "aggressive"}}};

struct WeightFormat {
  enum class Storage { kDense, kInt8, kNf4 };
  Storage storage = Storage::kDense;
  std::int64_t input_passes = 1;     // kInt8: 8-bit passes over a product's input
  std::int64_t gradient_passes = 1;  // and over the gradient in backward
};

// The format of each matrix of a layer.
struct LayerFormats {
  WeightFormat qkv = {}, attention_output = {}, gate_up = {}, down = {};
  const WeightFormat& of(TensorRole role) const;  // of a layer's matrix
};
LayerFormats formats_of(BaseFormat kind);

// Bytes of a matrix in a format.
double matrix_bytes(const TensorSpec& matrix, const WeightFormat& form, std::int64_t element_bytes);

}  // namespace nkat::models
