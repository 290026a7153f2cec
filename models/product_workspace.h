// What a product of a micro-batch's rows with a frozen matrix of a layer holds for as long as it runs, beside its input
// and its result: arithmetic that follows the tiles of layers/widened_product.cpp, int8_matrix.cpp and nf4_matrix.cpp.
#pragma once

#include "models/memory_plan.h"

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

}  // namespace nkat::models
