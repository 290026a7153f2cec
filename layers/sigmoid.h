// The logistic function: a layer's gate is g = σ(α). No LibTorch, for every module that shows a gate.
#pragma once

#include <cmath>

namespace nkat::layers {

// σ(x) = 1 / (1 + e^-x), in (0, 1).
inline double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

// dσ/dx = g (1 - g), as a function of g = σ(x): dL/dα = sigmoid_derivative(g) dL/dg.
inline double sigmoid_derivative(double g) { return g * (1.0 - g); }

}  // namespace nkat::layers
