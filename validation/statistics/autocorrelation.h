// How much a series of residuals follows its own last value.
#pragma once

#include <span>

namespace nkat::validation {

// Sum of products of neighbors over the sum of squares, about 0; 0 for a series of zeros.
double lag_one_correlation(std::span<const double> values);

}  // namespace nkat::validation
