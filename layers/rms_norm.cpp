#include "layers/rms_norm.h"

#include <torch/csrc/autograd/custom_function.h>

#include "core/error.h"
#include "layers/check.h"
#include "layers/cpu/loops.h"
#include "layers/kernels/launchers.h"

namespace nkat::layers {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

class RmsNorm : public torch::autograd::Function<RmsNorm> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight, double epsilon) {
    const RmsNormResult result =
        x.is_cuda() ? kernels::rms_norm(x, weight, epsilon) : cpu::rms_norm(x, weight, epsilon);
    context->save_for_backward({x, result.scale, weight});
    return result.y;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &scale = saved[1], &weight = saved[2];
    const at::Tensor dy = gradients[0].contiguous();  // (T, H)
    const at::Tensor dx =
        dy.is_cuda() ? kernels::rms_norm_backward(dy, x, weight, scale) : cpu::rms_norm_backward(dy, x, weight, scale);
    return {dx, at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon) {
  check_shape("RMSNorm", "weight", weight, {{"H"}});
  check_shape("RMSNorm", "x", x, {{"T"}, {"H", weight.size(0)}});
  check_dtype("RMSNorm", "x", x, {at::kFloat, at::kBFloat16, at::kDouble});
  check_dtype("RMSNorm", "weight", weight, {x.scalar_type()});
  check_device("RMSNorm", "weight", weight, x.device());
  NKAT_INVARIANT(!weight.requires_grad());
  return RmsNorm::apply(x.contiguous(), weight.contiguous(), epsilon);
}

}  // namespace nkat::layers
