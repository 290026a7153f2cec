#include "layers/token_loss.h"

#include "layers/check.h"

namespace nkat::layers {

TokenLoss token_loss(const at::Tensor& x, const at::Tensor& targets, const at::Tensor& head_weight,
                     const TokenLossOptions& options) {
  check_shape("token_loss", "x", x, {{"R"}, {"H"}});
  check_shape("token_loss", "targets", targets, {{"R", x.size(0)}});
  check_shape("token_loss", "head_weight", head_weight, {{"V"}, {"H", x.size(1)}});
  const at::NoGradGuard no_grad;
  const std::int64_t rows = x.size(0);
  TokenLoss result;
  const at::ScalarType exact = at::promoteTypes(x.scalar_type(), at::kFloat);
  result.losses = at::empty({rows}, x.options().dtype(exact));
  if (options.want_gradient) result.gradient = at::empty_like(x);
  for (std::int64_t begin = 0; begin < rows; begin += options.chunk_rows) {
    const std::int64_t count = std::min(options.chunk_rows, rows - begin);
    const at::Tensor wanted = targets.narrow(0, begin, count).unsqueeze(1);            // (C, 1)
    at::Tensor scores = at::linear(x.narrow(0, begin, count), head_weight).to(exact);  // (C, V)
    const at::Tensor normaliser = scores.logsumexp(1, /*keepdim=*/true);               // (C, 1)
    result.losses.narrow(0, begin, count).copy_((normaliser - scores.gather(1, wanted)).squeeze(1));
    if (!options.want_gradient) continue;
    scores.sub_(normaliser).exp_().mul_(options.scale);
    scores.scatter_add_(1, wanted, at::full_like(wanted, -options.scale, scores.options()));
    result.gradient.narrow(0, begin, count).copy_(at::matmul(scores.to(x.scalar_type()), head_weight));
  }
  return result;
}

}  // namespace nkat::layers
