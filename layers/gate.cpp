#include "layers/gate.h"

#include <ATen/ops/add.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/sum.h>

#include "layers/check.h"
#include "layers/sigmoid.h"

namespace nkat::layers {
namespace {

void check_matrices(std::string_view who, std::string_view name, const at::Tensor& matrices /* (N, 8, 8) */) {
  check_shape(who, name, matrices, {{"N"}, {"8", 8}, {"8", 8}});
  check_dtype(who, name, matrices, {at::kFloat, at::kDouble});
}

}  // namespace

at::Tensor adapter_matrix(double gate, const at::Tensor& rotation) {
  check_matrices("adapter_matrix", "rotation", rotation);
  const at::Tensor identity = at::eye(8, rotation.options().dtype(at::kDouble));  // (8, 8)
  return at::add(identity, rotation.to(at::kDouble), gate).to(rotation.scalar_type());
}

GateGradient adapter_matrix_backward(double gate, const at::Tensor& rotation, const at::Tensor& matrix_gradient) {
  check_matrices("adapter_matrix_backward", "rotation", rotation);
  check_shape("adapter_matrix_backward", "matrix_gradient", matrix_gradient,
              {{"N", rotation.size(0)}, {"8", 8}, {"8", 8}});
  check_dtype("adapter_matrix_backward", "matrix_gradient", matrix_gradient, {rotation.scalar_type()});
  check_device("adapter_matrix_backward", "matrix_gradient", matrix_gradient, rotation.device());
  const at::Tensor gradient = matrix_gradient.to(at::kDouble);  // (N, 8, 8)
  return {.rotation = at::mul(gradient, gate).to(rotation.scalar_type()),
          .gate = at::sum(gradient * rotation.to(at::kDouble)).item<double>()};
}

}  // namespace nkat::layers
