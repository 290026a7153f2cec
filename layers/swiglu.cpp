#include "layers/swiglu.h"

#include <torch/csrc/autograd/custom_function.h>

#include "core/error.h"
#include "layers/precision.h"

namespace nkat::layers {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

class SwiGlu : public torch::autograd::Function<SwiGlu> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& gate_up) {
    context->save_for_backward({gate_up});
    const std::vector<at::Tensor> halves = gate_up.chunk(2, -1);  // (T, F) each
    const at::ScalarType wide = compute_dtype(gate_up);
    return at::silu(halves[0].to(wide)).mul_(halves[1]).to(gate_up.scalar_type());
  }

  // y = up SiLU(gate):  d up = dy SiLU(gate),  d gate = dy up SiLU'(gate)
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const at::Tensor gate_up = context->get_saved_variables()[0];
    const at::ScalarType wide = compute_dtype(gate_up);
    const std::vector<at::Tensor> halves = gate_up.chunk(2, -1);
    const at::Tensor gate = halves[0].to(wide);
    const at::Tensor gradient = gradients[0].to(wide);
    at::Tensor result = at::empty_like(gate_up);  // (T, 2F)
    const std::vector<at::Tensor> results = result.chunk(2, -1);
    results[0].copy_(at::silu_backward(gradient * halves[1], gate));
    results[1].copy_(at::silu(gate).mul_(gradient));
    return {result};
  }
};

}  // namespace

at::Tensor swiglu(const at::Tensor& gate_up) {
  NKAT_INVARIANT(gate_up.size(-1) % 2 == 0);
  return SwiGlu::apply(gate_up);
}

}  // namespace nkat::layers
