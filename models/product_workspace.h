// What a product of a micro-batch's rows with a frozen matrix of a layer holds for as long as it runs, beside its input
// and its result: arithmetic that follows the tiles of layers/widened_product.cpp, int8_matrix.cpp and nf4_matrix.cpp.
#pragma once

#include "models/memory_plan.h"

namespace nkat::models {

// Bytes, of the dearest product of a layer in either direction.
double largest_product_workspace(const Phi3Config& config, const PlanRequest& request);

}  // namespace nkat::models
