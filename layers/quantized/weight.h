// A frozen matrix in whichever form it is held, and the product with it: as numbers, as 8-bit integers with row scales
// (int8.h), or in four bits (nf4.h). The form decides rounding, memory and speed; callers need not know
// it.
//
// Copies share storage. A default-made matrix is empty: sizes 0.
#pragma once

#include <variant>

#include "layers/quantized/int8.h"
#include "layers/quantized/nf4.h"

namespace nkat::layers {

class Weight {
 public:
  Weight() = default;
  Weight(at::Tensor dense) : form_(std::move(dense)) {}  // implicit: a tensor is the plainest form
  Weight(Int8Matrix matrix) : form_(std::move(matrix)) {}
  Weight(Nf4Matrix matrix) : form_(std::move(matrix)) {}

  std::int64_t rows() const;
  std::int64_t columns() const;
  std::size_t bytes() const;        // that it holds
  const at::Tensor& dense() const;  // (N, K); InternalError in another form
  const std::variant<at::Tensor, Int8Matrix, Nf4Matrix>& form() const { return form_; }

 private:
  std::variant<at::Tensor, Int8Matrix, Nf4Matrix> form_;
};

// x (T, K) -> (T, N): x W^T, a derivative by x; W is all that is kept for it.
at::Tensor linear(const at::Tensor& x, const Weight& weight);

}  // namespace nkat::layers
