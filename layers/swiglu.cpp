#include "layers/swiglu.h"

#include <torch/csrc/autograd/custom_function.h>

#include "core/error.h"
#include "layers/check.h"
#include "layers/cpu/loops.h"
#include "layers/kernels/launchers.h"

namespace nkat::layers {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

class SwiGlu : public torch::autograd::Function<SwiGlu> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& gate_up) {
    context->save_for_backward({gate_up});
    return gate_up.is_cuda() ? kernels::swiglu(gate_up) : cpu::swiglu(gate_up);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const at::Tensor dy = gradients[0].contiguous(), gate_up = context->get_saved_variables()[0];
    return {dy.is_cuda() ? kernels::swiglu_backward(dy, gate_up) : cpu::swiglu_backward(dy, gate_up)};
  }
};

}  // namespace

at::Tensor swiglu(const at::Tensor& gate_up) {
  check_shape("SwiGLU", "gate_up", gate_up, {{"T"}, {"2F"}});
  check_dtype("SwiGLU", "gate_up", gate_up, {at::kFloat, at::kBFloat16, at::kDouble});
  NKAT_INVARIANT(gate_up.size(-1) % 2 == 0);
  return SwiGlu::apply(gate_up.contiguous());
}

}  // namespace nkat::layers
