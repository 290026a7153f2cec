#include "layers/quantized/weight.h"

#include "core/error.h"
#include "core/overloaded.h"
#include "layers/check.h"
#include "layers/linear.h"

namespace nkat::layers {

std::int64_t Weight::rows() const {
  return std::visit(Overloaded{[](const at::Tensor& w) { return w.defined() ? w.size(0) : 0; },
                               [](const Int8Matrix& w) { return w.values.size(0); },
                               [](const Nf4Matrix& w) { return w.codes.size(0); }},
                    form_);
}

std::int64_t Weight::columns() const {
  return std::visit(
      Overloaded{[](const at::Tensor& w) { return w.defined() ? w.size(1) : 0; },
                 [](const Int8Matrix& w) { return w.values.size(1); }, [](const Nf4Matrix& w) { return w.columns(); }},
      form_);
}

std::size_t Weight::bytes() const {
  const std::size_t matrix = std::visit(
      Overloaded{[](const at::Tensor& w) { return w.defined() ? w.nbytes() : 0; },
                 [](const Int8Matrix& w) { return w.values.nbytes() + w.scales.nbytes() + w.channel_scales.nbytes(); },
                 [](const Nf4Matrix& w) { return w.codes.nbytes() + w.scales.nbytes() + w.channel_scales.nbytes(); }},
      form_);
  return matrix + (bias_.defined() ? bias_.nbytes() : 0);
}

const at::Tensor& Weight::dense() const {
  NKAT_INVARIANT(std::holds_alternative<at::Tensor>(form_));
  return std::get<at::Tensor>(form_);
}

at::Tensor linear(const at::Tensor& x, const Weight& weight) {
  at::Tensor y = std::visit(Overloaded{[&](const at::Tensor& w) { return layers::linear(x, w); },
                                       [&](const Int8Matrix& w) { return int8_linear(x, w); },
                                       [&](const Nf4Matrix& w) { return nf4_linear(x, w); }},
                            weight.form());
  if (!weight.bias().defined()) return y;
  check_shape("linear", "bias", weight.bias(), {{"N", weight.rows()}});
  check_dtype("linear", "bias", weight.bias(), {y.scalar_type()});
  return y.add_(weight.bias());  // in place: nothing else refers to the product
}

}  // namespace nkat::layers
