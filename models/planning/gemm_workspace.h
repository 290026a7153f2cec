// What a product of a micro-batch's rows with a frozen matrix of a layer, or attention, holds for as long as it runs,
// beside its input and its result: arithmetic that follows layers/cpu/bf16_gemm.cpp, layers/quantized/int8.cpp, layers/quantized/nf4.cpp
// and layers/cpu/attention.cpp.
#pragma once

#include "models/planning/memory_plan.h"

namespace nkat::models {

enum class ProductDirection {
  kForward,  // rows of the layer's width in, rows of the matrix's out
  kBack,     // the output's gradient in, the input's out
};

// Bytes of one product with a layer's matrix.
double product_workspace(const Phi3Config& config, const PlanRequest& request, MatrixRole role,
                         ProductDirection direction);

// Bytes of the head's product for `rows` rows at once, whose result is not rounded.
double head_product_workspace(const Phi3Config& config, const PlanRequest& request, std::int64_t rows);

// Bytes of attention on its way back, samples as long as the limit: a CPU's threads each hold a head in float32.
double attention_workspace(const Phi3Config& config, const PlanRequest& request);

}  // namespace nkat::models
