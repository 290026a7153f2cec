// SwiGLU on the CPU, one pass; layers/swiglu.h is the interface to use. Called with contiguous tensors.
#pragma once

#include <ATen/core/Tensor.h>

namespace nkat::layers::cpu {

// gate_up (T, 2F) -> (T, F)
at::Tensor swiglu(const at::Tensor& gate_up);

// d gate = dy up SiLU'(gate), d up = dy SiLU(gate), each rounded once. gradient = dy (T, F) -> (T, 2F)
at::Tensor swiglu_backward(const at::Tensor& gradient, const at::Tensor& gate_up);

}  // namespace nkat::layers::cpu
