// y = x Wᵀ with a frozen W in four bits (nf4_matrix.h), and its derivative. W is dequantized tile by tile, never as a
// whole (layers/MATHEMATICS.md 11).
//
// On a CPU tiles and products are float32, elsewhere they have x's type. A tile is 16 MiB of float32 on a CPU, one
// matrix on a GPU, where this has never run. The same bits on every run with the same number of threads.
// x is float32 or bfloat16, y has its type. Saved for backward: W.
// Shapes: N output channels, K input channels, T tokens.
// Errors: ShapeError, DeviceError of a wrong argument.
#pragma once

#include <ATen/core/Tensor.h>

#include "layers/quantized/nf4_matrix.h"

namespace nkat::layers {

// x (T, K) -> (T, N); differentiable in x.
at::Tensor nf4_linear(const at::Tensor& x, const Nf4Matrix& matrix);
// dy (T, N) -> (T, K)
at::Tensor nf4_linear_backward(const at::Tensor& dy, const Nf4Matrix& matrix);

}  // namespace nkat::layers
