#include "layers/cross_entropy.h"

#include "layers/check.h"
#include "layers/cpu/loops.h"
#include "layers/kernels/launchers.h"
#include "layers/linear.h"

namespace nkat::layers {

CrossEntropy cross_entropy(const at::Tensor& x, const at::Tensor& targets, const at::Tensor& head_weight,
                           const CrossEntropyOptions& options) {
  check_shape("cross_entropy", "x", x, {{"R"}, {"H"}});
  check_shape("cross_entropy", "targets", targets, {{"R", x.size(0)}});
  check_shape("cross_entropy", "head_weight", head_weight, {{"V"}, {"H", x.size(1)}});
  check_dtype("cross_entropy", "x", x, {at::kFloat, at::kBFloat16, at::kDouble});
  check_dtype("cross_entropy", "targets", targets, {at::kLong});
  check_dtype("cross_entropy", "head_weight", head_weight, {x.scalar_type()});
  check_device("cross_entropy", "targets", targets, x.device());
  check_device("cross_entropy", "head_weight", head_weight, x.device());
  const at::NoGradGuard no_grad;
  const std::int64_t rows = x.size(0);
  CrossEntropy result;
  const at::ScalarType exact = at::promoteTypes(x.scalar_type(), at::kFloat);
  result.losses = at::empty({rows}, x.options().dtype(exact));
  if (options.want_gradient) result.gradient = at::empty_like(x);
  for (std::int64_t begin = 0; begin < rows; begin += options.chunk_rows) {
    const std::int64_t count = std::min(options.chunk_rows, rows - begin);
    const at::Tensor wanted = targets.narrow(0, begin, count).contiguous();             // (C)
    const at::Tensor logits = linear_fp32_out(x.narrow(0, begin, count), head_weight);  // (C, V)
    const auto softmax_loss = logits.is_cuda() ? kernels::softmax_loss_ : cpu::softmax_loss_;
    softmax_loss(logits, wanted, result.losses.narrow(0, begin, count),
                 {.scale = options.scale, .wanted = options.want_gradient});
    if (options.want_gradient) result.gradient.narrow(0, begin, count).copy_(linear_backward(logits, head_weight));
  }
  return result;
}

}  // namespace nkat::layers
