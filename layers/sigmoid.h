// The logistic function, for modules with and without LibTorch: the gate of a layer is sigmoid(alpha).
#pragma once

#include <cmath>

namespace nkat::layers {

inline double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

}  // namespace nkat::layers
