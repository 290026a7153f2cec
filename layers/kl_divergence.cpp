#include "layers/kl_divergence.h"

#include "layers/check.h"

namespace nkat::layers {
namespace {

// (C, H) -> (C, V) float64
at::Tensor log_probabilities(const at::Tensor& rows, const at::Tensor& head_weight) {
  return at::log_softmax(at::linear(rows, head_weight).to(at::kDouble), 1);
}

}  // namespace

at::Tensor kl_divergence(const at::Tensor& x, const at::Tensor& y, const at::Tensor& head_weight,
                         std::int64_t chunk_rows) {
  check_shape("kl_divergence", "x", x, {{"R"}, {"H"}});
  check_same_shape("kl_divergence", "y", y, x);
  check_shape("kl_divergence", "head_weight", head_weight, {{"V"}, {"H", x.size(1)}});
  check_dtype("kl_divergence", "x", x, {at::kFloat, at::kBFloat16, at::kDouble});
  check_dtype("kl_divergence", "y", y, {x.scalar_type()});
  check_dtype("kl_divergence", "head_weight", head_weight, {x.scalar_type()});
  check_device("kl_divergence", "y", y, x.device());
  check_device("kl_divergence", "head_weight", head_weight, x.device());
  const at::NoGradGuard no_grad;
  at::Tensor divergence = at::empty({x.size(0)}, x.options().dtype(at::kDouble));
  for (std::int64_t begin = 0; begin < x.size(0); begin += chunk_rows) {
    const std::int64_t count = std::min(chunk_rows, x.size(0) - begin);
    const at::Tensor log_p = log_probabilities(x.narrow(0, begin, count), head_weight);  // (C, V)
    at::Tensor difference = log_p - log_probabilities(y.narrow(0, begin, count), head_weight);
    divergence.narrow(0, begin, count).copy_(difference.mul_(log_p.exp()).sum(1));
  }
  return divergence;
}

}  // namespace nkat::layers
