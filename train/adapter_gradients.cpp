#include "train/adapter_gradients.h"

#include "core/error.h"
#include "layers/gate.h"
#include "layers/so8_rotation.h"
#include "layers/triality.h"

namespace nkat::train {

AdapterGradients::AdapterGradients(const models::Adapter& adapter, at::Device device)
    : adapter_(adapter),
      gates_(adapter.gates()),
      rotations_(adapter.rotations()),
      matrices_(adapter.matrices(gates_, rotations_, device)) {
  for (at::Tensor& matrix : matrices_) {
    if (matrix.defined()) matrix.requires_grad_(true);
  }
  for (std::int64_t i = 0; i < adapter.count(); ++i) triality_ += layers::triality_loss(rotations_[i]).item<double>();
  triality_ /= static_cast<double>(adapter.count());
}

AdapterMatrixGradients AdapterGradients::collect_gradients() {
  AdapterMatrixGradients gradients;
  for (std::size_t layer = static_cast<std::size_t>(adapter_.first_layer); layer < matrices_.size(); ++layer) {
    at::Tensor& gradient = matrices_[layer].mutable_grad();
    gradients.push_back(gradient.defined() ? gradient : at::zeros_like(matrices_[layer]).detach());
    gradient.reset();
  }
  return gradients;
}

AdapterGradients::Result AdapterGradients::backward(const AdapterMatrixGradients& matrix_gradients,
                                                    double triality_weight, Control control) const {
  NKAT_INVARIANT(static_cast<std::int64_t>(matrix_gradients.size()) == adapter_.count());
  Result result;
  at::Tensor rotation_gradient = at::empty_like(rotations_);
  result.gradient.alpha = at::empty_like(adapter_.alpha);
  const double layer_weight = triality_weight / static_cast<double>(adapter_.count());
  for (std::int64_t i = 0; i < adapter_.count(); ++i) {
    const auto index = static_cast<std::size_t>(i);
    const double gate = gates_[index];
    const auto from_loss = layers::adapter_matrix_backward(gate, rotations_[i], matrix_gradients[index].cpu());
    rotation_gradient[i].copy_(from_loss.rotation);
    if (layer_weight > 0.0) rotation_gradient[i].add_(layers::triality_loss_backward(rotations_[i]), layer_weight);
    result.gradient.alpha[i].fill_(layers::sigmoid_derivative(gate) * from_loss.gate);
    result.gate_force.push_back(-from_loss.gate);
  }
  result.gradient.weight = layers::so8_rotation_backward(adapter_.weight, rotation_gradient);
  if (control == Control::kIdentity) result.gradient.weight.zero_();
  if (control == Control::kFrozenGates) result.gradient.alpha.zero_();
  return result;
}

}  // namespace nkat::train
