#include "layers/rms_norm.h"

#include <torch/csrc/autograd/custom_function.h>

#include "core/error.h"
#include "layers/check.h"
#include "layers/precision.h"

namespace nkat::layers {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

class RmsNorm : public torch::autograd::Function<RmsNorm> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight, double epsilon) {
    const at::Tensor wide = x.to(compute_dtype(x));                                          // (T, H)
    const at::Tensor scale = at::rsqrt(wide.square().mean(-1, /*keepdim=*/true) + epsilon);  // (T, 1)
    context->save_for_backward({x, scale, weight});
    return (wide * scale).to(x.scalar_type()) * weight;
  }

  // With n = x s and g = w dy:  dx = s (g - n mean(g n))
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &scale = saved[1], &weight = saved[2];
    const at::ScalarType wide = compute_dtype(x);
    const at::Tensor normalised = x.to(wide) * scale;                            // (T, H)
    at::Tensor gradient = gradients[0].to(wide) * weight.to(wide);               // (T, H)
    const at::Tensor mean = (gradient * normalised).mean(-1, /*keepdim=*/true);  // (T, 1)
    gradient = gradient.addcmul_(normalised, mean, /*value=*/-1).mul_(scale);
    return {gradient.to(x.scalar_type()), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon) {
  check_shape("RMSNorm", "x", x, {{"T"}, {"H", weight.size(0)}});
  check_dtype("RMSNorm", "weight", weight, {x.scalar_type()});
  NKAT_INVARIANT(!weight.requires_grad());
  return RmsNorm::apply(x, weight, epsilon);
}

}  // namespace nkat::layers
