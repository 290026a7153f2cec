// How the frozen base is held: `--base safe|balanced|aggressive`, and the format of each matrix of a layer. Embedding,
// head and norms are always in the compute type. No LibTorch.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/phi3.h"

namespace nkat::models {

enum class BaseFormat {
  kSafe,        // in the compute type
  kBalanced,    // 8-bit integers, one scale per row and one per column
  kAggressive,  // gate_up in NF4, one scale per 32 weights; the others as balanced
};

extern const char* const kBaseHelp;  // of the option
const std::vector<std::string>& base_format_names();
BaseFormat base_format(const std::string& name);  // InternalError for a name that the options let through

struct WeightFormat {
  enum class Storage { kDense, kInt8, kNf4 };
  Storage storage = Storage::kDense;
  std::int64_t input_terms = 1;     // kInt8: 8-bit passes over a product's input
  std::int64_t gradient_terms = 1;  // and over the gradient in backward
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
