#include "validation/statistics/autocorrelation.h"

#include <cstddef>

namespace nkat::validation {

double lag_one_correlation(std::span<const double> values) {
  double products = 0.0;
  double squares = 0.0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    squares += values[i] * values[i];
    if (i > 0) products += values[i] * values[i - 1];
  }
  return squares > 0.0 ? products / squares : 0.0;
}

}  // namespace nkat::validation
