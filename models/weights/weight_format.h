// How the frozen base is held: `--base safe|balanced|aggressive`, and what that means for each matrix of a layer.
// No LibTorch. Embedding, head and norms are always in the type that computes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/phi3.h"

namespace nkat::models {

enum class BaseFormat {
  kSafe,        // numbers of the type that computes
  kBalanced,    // 8-bit integers, one scale a row and one a column
  kAggressive,  // gate_up in NF4, one scale each 32 weights; the others as balanced
};

extern const char* const kBaseHelp;  // of the option
const std::vector<std::string>& base_format_names();
BaseFormat base_format(const std::string& name);  // InternalError for a name that the options let through

struct WeightFormat {
  enum class Storage { kDense, kInt8, kNf4 };
  Storage storage = Storage::kDense;
  std::int64_t input_terms = 1;     // 8-bit terms of a product's input; of kInt8
  std::int64_t gradient_terms = 1;  // and of the gradient on its way back
};

// A form for each matrix of a layer.
struct LayerFormats {
  WeightFormat qkv = {}, attention_output = {}, gate_up = {}, down = {};
  const WeightFormat& of(TensorRole role) const;  // of a layer's matrix
};
LayerFormats formats_of(BaseFormat kind);

// Bytes that a matrix takes in a form.
double matrix_bytes(const TensorSpec& matrix, const WeightFormat& form, std::int64_t element_bytes);

}  // namespace nkat::models
