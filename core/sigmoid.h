// The logistic function 1 / (1 + exp(-x)), in (0, 1).
#pragma once

#include <cmath>

namespace nkat {

inline double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

}  // namespace nkat
