// The gate of an adapter layer, g = σ(α), and its derivative. No LibTorch, for every module that shows a gate.
#pragma once

#include <cmath>

namespace nkat::layers {

// σ(α) in (0, 1).
inline double gate(double alpha) { return 1.0 / (1.0 + std::exp(-alpha)); }

// dσ/dα = g (1 - g), as a function of g = σ(α): dL/dα = sigmoid_derivative(g) dL/dg.
inline double sigmoid_derivative(double gate) { return gate * (1.0 - gate); }

}  // namespace nkat::layers
