// Copies rows of some columns of a wider row-major matrix on the CPU to float32, and back, rounded once.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace nkat::layers::cpu {

template <typename Scalar>
struct StridedRows {
  Scalar* data;
  std::int64_t stride;  // from a row to the next
  StridedRows from_row(std::int64_t row) const { return {data + row * stride, stride}; }
};

// target (rows, width) contiguous.
void widen_rows(const StridedRows<const float>& source, std::int64_t rows, std::int64_t width, float* target);
void widen_rows(const StridedRows<const at::BFloat16>& source, std::int64_t rows, std::int64_t width, float* target);

// source (rows, width) contiguous.
void round_rows(const float* source, std::int64_t rows, std::int64_t width, const StridedRows<float>& target);
void round_rows(const float* source, std::int64_t rows, std::int64_t width, const StridedRows<at::BFloat16>& target);

}  // namespace nkat::layers::cpu
