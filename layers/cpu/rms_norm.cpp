#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include "layers/cpu/loops.h"
#include "layers/cpu/simd.h"

namespace nkat::layers::cpu {
namespace {

template <typename Scalar, typename Sum = SumOf<Scalar>>
struct Forward {
  const Scalar* x;
  const Scalar* weight;
  Scalar* y;
  Sum* scale;
  std::int64_t channels;
  Sum epsilon;
};

template <typename Scalar, typename Sum>
NKAT_INLINED void forward_rows(const Forward<Scalar, Sum>& run, std::int64_t begin, std::int64_t end) {
  for (std::int64_t row = begin; row < end; ++row) {
    const Scalar* x = run.x + row * run.channels;
    Scalar* y = run.y + row * run.channels;
    const Sum squares = lane_sum<Sum>(run.channels, [x](std::int64_t i) { return widen(x[i]) * widen(x[i]); });
    const Sum scale = Sum(1) / std::sqrt(squares / static_cast<Sum>(run.channels) + run.epsilon);
    run.scale[row] = scale;
    for (std::int64_t i = 0; i < run.channels; ++i) {
      Scalar normalized;
      round_to(widen(x[i]) * scale, normalized);
      round_to(widen(normalized) * widen(run.weight[i]), y[i]);
    }
  }
}

template <typename Scalar, typename Sum = SumOf<Scalar>>
struct Backward {
  const Scalar* gradient;
  const Scalar* x;
  const Scalar* weight;
  const Sum* scale;
  Scalar* x_gradient;
  std::int64_t channels;
};

template <typename Scalar, typename Sum>
NKAT_INLINED void backward_rows(const Backward<Scalar, Sum>& run, std::int64_t begin, std::int64_t end) {
  for (std::int64_t row = begin; row < end; ++row) {
    const Scalar *x = run.x + row * run.channels, *dy = run.gradient + row * run.channels, *weight = run.weight;
    Scalar* dx = run.x_gradient + row * run.channels;
    const Sum scale = run.scale[row];
    const Sum products = lane_sum<Sum>(
        run.channels, [x, dy, weight](std::int64_t i) { return widen(x[i]) * widen(dy[i]) * widen(weight[i]); });
    const Sum mean = products * scale / static_cast<Sum>(run.channels);
    for (std::int64_t i = 0; i < run.channels; ++i)
      round_to((widen(dy[i]) * widen(weight[i]) - widen(x[i]) * scale * mean) * scale, dx[i]);
  }
}

NKAT_VECTORIZED_LOOP(forward, forward_rows, Forward)
NKAT_VECTORIZED_LOOP(backward, backward_rows, Backward)

}  // namespace

RmsNormResult rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon) {
  RmsNormResult result{
      .y = at::empty_like(x),
      .scale = at::empty({x.size(0), 1}, x.options().dtype(x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat))};
  with_type(x.scalar_type(), [&]<typename Scalar, typename Sum>(Scalar, Sum) {
    const Forward<Scalar, Sum> run{.x = x.const_data_ptr<Scalar>(),
                                   .weight = weight.const_data_ptr<Scalar>(),
                                   .y = result.y.mutable_data_ptr<Scalar>(),
                                   .scale = result.scale.mutable_data_ptr<Sum>(),
                                   .channels = x.size(1),
                                   .epsilon = static_cast<Sum>(epsilon)};
    at::parallel_for(0, x.size(0), row_grain(run.channels),
                     [&](std::int64_t begin, std::int64_t end) { forward(run, begin, end); });
  });
  return result;
}

at::Tensor rms_norm_backward(const at::Tensor& gradient, const at::Tensor& x, const at::Tensor& weight,
                             const at::Tensor& scale) {
  at::Tensor x_gradient = at::empty_like(x);
  with_type(x.scalar_type(), [&]<typename Scalar, typename Sum>(Scalar, Sum) {
    const Backward<Scalar, Sum> run{.gradient = gradient.const_data_ptr<Scalar>(),
                                    .x = x.const_data_ptr<Scalar>(),
                                    .weight = weight.const_data_ptr<Scalar>(),
                                    .scale = scale.const_data_ptr<Sum>(),
                                    .x_gradient = x_gradient.mutable_data_ptr<Scalar>(),
                                    .channels = x.size(1)};
    at::parallel_for(0, x.size(0), row_grain(run.channels),
                     [&](std::int64_t begin, std::int64_t end) { backward(run, begin, end); });
  });
  return x_gradient;
}

}  // namespace nkat::layers::cpu
