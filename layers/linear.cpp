#include "layers/linear.h"

#include <ATen/ops/linear.h>
#include <ATen/ops/matmul.h>
#include <torch/csrc/autograd/custom_function.h>

#include "core/error.h"
#include "layers/check.h"
#include "layers/cpu/bf16_gemm.h"

namespace nkat::layers {
namespace {

using cpu::Bf16Gemm;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr std::int64_t kFewestRows = 16;  // below, reading W takes the time

bool can_widen(const at::Tensor& weight) {
  return weight.is_cpu() && weight.scalar_type() == at::kBFloat16 && weight.is_contiguous() && cpu::prefer_fp32_gemm();
}

bool is_widened(const at::Tensor& rows, const at::Tensor& weight) {
  return can_widen(weight) && rows.size(0) >= kFewestRows;
}

// rows (T, the weight's size of `dimension`); cpu/bf16_gemm.h trusts it.
void check_rows(std::string_view who, std::string_view name, const at::Tensor& rows, const at::Tensor& weight,
                std::int64_t dimension) {
  check_shape(who, "weight", weight, {{"out"}, {"in"}});
  check_shape(who, name, rows, {{"T"}, {dimension == 0 ? "out" : "in", weight.size(dimension)}});
}

class WidenedLinear : public torch::autograd::Function<WidenedLinear> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight) {
    context->save_for_backward({weight});
    return cpu::bf16_gemm(x, weight, Bf16Gemm::kForward, at::kBFloat16);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    return {linear_backward(gradients[0], context->get_saved_variables()[0]), at::Tensor()};
  }
};

}  // namespace

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight) {
  NKAT_INVARIANT(!weight.requires_grad());
  check_rows("linear", "x", x, weight, 1);
  return is_widened(x, weight) ? WidenedLinear::apply(x, weight) : at::linear(x, weight);
}

at::Tensor linear_fp32_out(const at::Tensor& x, const at::Tensor& weight) {
  check_rows("linear_fp32_out", "x", x, weight, 1);
  return can_widen(weight) ? cpu::bf16_gemm(x, weight, Bf16Gemm::kForward, at::kFloat) : at::linear(x, weight);
}

at::Tensor linear_backward(const at::Tensor& gradient, const at::Tensor& weight) {
  check_rows("linear_backward", "gradient", gradient, weight, 0);
  const bool is_wide = can_widen(weight) && gradient.scalar_type() == at::kFloat;
  return is_wide || is_widened(gradient, weight) ? cpu::bf16_gemm(gradient, weight, Bf16Gemm::kBackward, at::kBFloat16)
                                                 : at::matmul(gradient.to(weight.scalar_type()), weight);
}

}  // namespace nkat::layers
