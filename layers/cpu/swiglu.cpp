#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include "layers/cpu/loops.h"
#include "layers/cpu/simd.h"

namespace nkat::layers::cpu {
namespace {

template <typename Scalar>
struct Rows {
  const Scalar* gate_up;   // (T, 2F)
  const Scalar* gradient;  // (T, F), null in the forward pass
  Scalar* out;             // (T, F), or (T, 2F) in the backward pass
  std::int64_t width;      // F
};

template <typename Value>
NKAT_INLINED Value sigmoid(Value x) {
  return Value(1) / (Value(1) + exponential(-x));
}

template <typename Scalar>
NKAT_INLINED void forward_rows(const Rows<Scalar>& run, std::int64_t begin, std::int64_t end) {
  for (std::int64_t row = begin; row < end; ++row) {
    const Scalar *gate = run.gate_up + 2 * row * run.width, *up = gate + run.width;
    Scalar* out = run.out + row * run.width;
    for (std::int64_t i = 0; i < run.width; ++i) {
      const auto g = widen(gate[i]);
      round_to(g * sigmoid(g) * widen(up[i]), out[i]);
    }
  }
}

template <typename Scalar>
NKAT_INLINED void backward_rows(const Rows<Scalar>& run, std::int64_t begin, std::int64_t end) {
  for (std::int64_t row = begin; row < end; ++row) {
    const Scalar *gate = run.gate_up + 2 * row * run.width, *up = gate + run.width;
    const Scalar* dy = run.gradient + row * run.width;
    Scalar *gate_gradient = run.out + 2 * row * run.width, *up_gradient = gate_gradient + run.width;
    for (std::int64_t i = 0; i < run.width; ++i) {
      const auto g = widen(gate[i]), s = sigmoid(g), d = widen(dy[i]);
      round_to(d * widen(up[i]) * s * (1 + g * (1 - s)), gate_gradient[i]);
      round_to(d * g * s, up_gradient[i]);
    }
  }
}

NKAT_VECTORIZED_LOOP(forward, forward_rows, Rows)
NKAT_VECTORIZED_LOOP(backward, backward_rows, Rows)

}  // namespace

at::Tensor swiglu(const at::Tensor& gate_up) {
  const std::int64_t rows = gate_up.size(0), width = gate_up.size(1) / 2;
  at::Tensor out = at::empty({rows, width}, gate_up.options());
  with_type(gate_up.scalar_type(), [&]<typename Scalar, typename Sum>(Scalar, Sum) {
    const Rows<Scalar> run{.gate_up = gate_up.const_data_ptr<Scalar>(),
                           .gradient = nullptr,
                           .out = out.mutable_data_ptr<Scalar>(),
                           .width = width};
    at::parallel_for(0, rows, row_grain(width),
                     [&](std::int64_t begin, std::int64_t end) { forward(run, begin, end); });
  });
  return out;
}

at::Tensor swiglu_backward(const at::Tensor& gradient, const at::Tensor& gate_up) {
  at::Tensor out = at::empty_like(gate_up);
  with_type(gate_up.scalar_type(), [&]<typename Scalar, typename Sum>(Scalar, Sum) {
    const Rows<Scalar> run{.gate_up = gate_up.const_data_ptr<Scalar>(),
                           .gradient = gradient.const_data_ptr<Scalar>(),
                           .out = out.mutable_data_ptr<Scalar>(),
                           .width = gate_up.size(1) / 2};
    at::parallel_for(0, gate_up.size(0), row_grain(run.width),
                     [&](std::int64_t begin, std::int64_t end) { backward(run, begin, end); });
  });
  return out;
}

}  // namespace nkat::layers::cpu
