#include "layers/block_diagonal.h"

#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include "layers/check.h"
#include "layers/cpu/loops.h"
#include "layers/kernels/launchers.h"

namespace nkat::layers {
namespace {

using kernels::BlockDiagonalGradient;

at::Tensor forward_pass(const at::Tensor& residual, const at::Tensor& h, const at::Tensor& matrices) {
  if (h.is_cuda()) return kernels::add_block_diagonal(residual, h, matrices);
  const at::Tensor out = at::empty_like(h);
  cpu::add_block_diagonal(residual, h, matrices, out);
  return out;
}

BlockDiagonalGradient backward_pass(const at::Tensor& gradient, const at::Tensor& h, const at::Tensor& matrices,
                                    std::array<bool, 2> needs) {
  if (gradient.is_cuda()) return kernels::block_diagonal_backward(gradient, h, matrices, needs);
  BlockDiagonalGradient out{.h = needs[0] ? at::empty_like(gradient) : at::Tensor(),
                            .matrices = needs[1] ? at::empty_like(matrices) : at::Tensor()};
  cpu::block_diagonal_backward(
      {.gradient = gradient, .h = h, .matrices = matrices, .h_gradient = out.h, .matrices_gradient = out.matrices});
  return out;
}

class AddBlockDiagonal : public torch::autograd::Function<AddBlockDiagonal> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& residual, const at::Tensor& h,
                            const at::Tensor& matrices) {
    const at::Tensor x = h.contiguous(), m = matrices.contiguous();
    context->save_for_backward({matrices.requires_grad() ? x : at::Tensor(), m});
    return forward_pass(residual.contiguous(), x, m);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const torch::autograd::variable_list saved = context->get_saved_variables();
    const at::Tensor dy = gradients[0].contiguous();  // (T, H)
    const std::array<bool, 2> needs = {context->needs_input_grad(1), context->needs_input_grad(2)};
    const BlockDiagonalGradient out =
        needs[0] || needs[1] ? backward_pass(dy, saved[0], saved[1], needs) : BlockDiagonalGradient();
    return {dy, out.h, out.matrices};
  }
};

}  // namespace

at::Tensor add_block_diagonal(const at::Tensor& residual, const at::Tensor& h, const at::Tensor& matrices) {
  constexpr std::string_view kWho = "add_block_diagonal";
  check_shape(kWho, "matrices", matrices, {{"N"}, {"8", 8}, {"8", 8}});
  check_shape(kWho, "h", h, {{"T"}, {"H", 8 * matrices.size(0)}});
  check_shape(kWho, "residual", residual, {{"T", h.size(0)}, {"H", h.size(1)}});
  check_dtype(kWho, "h", h, {at::kFloat, at::kBFloat16, at::kDouble});
  check_dtype(kWho, "residual", residual, {h.scalar_type()});
  check_dtype(kWho, "matrices", matrices, {h.scalar_type() == at::kDouble ? at::kDouble : at::kFloat});
  check_device(kWho, "residual", residual, h.device());
  check_device(kWho, "matrices", matrices, h.device());
  return AddBlockDiagonal::apply(residual, h, matrices);
}

}  // namespace nkat::layers
