// A frozen matrix in one of three formats: a dense tensor, 8-bit integers with row scales (int8.h), or four bits
// (nf4.h). The format decides rounding, memory and speed; callers of `linear` need not know it.
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
  std::size_t bytes() const;        // held by the matrix and its scales
  const at::Tensor& dense() const;  // (N, K); InternalError in another format
  const std::variant<at::Tensor, Int8Matrix, Nf4Matrix>& form() const { return form_; }

 private:
  std::variant<at::Tensor, Int8Matrix, Nf4Matrix> form_;
};

// x (T, K) -> x Wᵀ (T, N); differentiable in x. Saved for backward: W.
at::Tensor linear(const at::Tensor& x, const Weight& weight);

}  // namespace nkat::layers
