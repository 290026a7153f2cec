// A frozen matrix in one of three formats: a dense tensor, 8-bit integers with row scales (int8.h), or four bits
// (nf4.h), with or without a bias. The format decides rounding, memory and speed; callers of `linear` need not know it.
// Copies share storage. A default-constructed Weight is empty: sizes 0.
#pragma once

#include <variant>

#include "layers/quantized/int8.h"
#include "layers/quantized/nf4.h"

namespace nkat::layers {

class Weight {
 public:
  Weight() = default;
  Weight(at::Tensor dense) : form_(std::move(dense)) {}  // implicit: a tensor is the plainest format
  Weight(Int8Matrix matrix) : form_(std::move(matrix)) {}
  Weight(Nf4Matrix matrix) : form_(std::move(matrix)) {}

  std::int64_t rows() const;
  std::int64_t columns() const;
  std::size_t bytes() const;        // held by the matrix, its scales and its bias
  const at::Tensor& dense() const;  // (N, K); InternalError in another format
  const std::variant<at::Tensor, Int8Matrix, Nf4Matrix>& form() const { return form_; }
  // (N), in the type that computes; undefined: none.
  const at::Tensor& bias() const { return bias_; }
  void set_bias(at::Tensor bias) { bias_ = std::move(bias); }

 private:
  std::variant<at::Tensor, Int8Matrix, Nf4Matrix> form_;
  at::Tensor bias_;
};

// x (T, K) -> x Wᵀ + b (T, N), the product rounded before b is added; differentiable in x. Saved for backward: W.
at::Tensor linear(const at::Tensor& x, const Weight& weight);

}  // namespace nkat::layers
