// float32 matrix products on one thread's own buffers, by the BLAS that LibTorch links. For many small products inside
// at::parallel_for, where a tensor for each would cost more than the product.
#pragma once

#include <cstdint>

extern "C" void sgemm_(const char* transpose_a, const char* transpose_b, const int* m, const int* n, const int* k,
                       const float* alpha, const float* a, const int* lda, const float* b, const int* ldb,
                       const float* beta, float* c, const int* ldc);

namespace nkat::layers::cpu {

// A row-major matrix inside a wider one: element (i, j) at data[i stride + j].
struct MatrixView {
  const float* data;
  std::int64_t stride;
  bool transposed = false;  // use the transpose
};

struct ProductShape {
  std::int64_t rows, columns, depth;
};

// C (rows, columns) = factor A B + keep C, row-major with the given stride.
inline void multiply(const ProductShape& shape, MatrixView a, MatrixView b, float* c, std::int64_t stride,
                     float factor = 1.0f, float keep = 0.0f) {
  // BLAS is column-major: it computes Cᵀ = Bᵀ Aᵀ.
  const auto m = static_cast<int>(shape.columns), n = static_cast<int>(shape.rows), k = static_cast<int>(shape.depth);
  const auto lda = static_cast<int>(b.stride), ldb = static_cast<int>(a.stride), ldc = static_cast<int>(stride);
  sgemm_(b.transposed ? "T" : "N", a.transposed ? "T" : "N", &m, &n, &k, &factor, b.data, &lda, a.data, &ldb, &keep, c,
         &ldc);
}

}  // namespace nkat::layers::cpu
