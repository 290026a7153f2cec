#include "layers/cpu/convert_rows.h"

#include "layers/cpu/simd.h"

namespace nkat::layers::cpu {
namespace {

template <typename Scalar>
NKAT_INLINED void widen_all(const StridedRows<const Scalar>& source, std::int64_t rows, std::int64_t width,
                            float* target) {
  for (std::int64_t row = 0; row < rows; ++row)
    for (std::int64_t i = 0; i < width; ++i) target[row * width + i] = widen(source.data[row * source.stride + i]);
}

template <typename Scalar>
NKAT_INLINED void round_all(const float* source, std::int64_t rows, std::int64_t width,
                            const StridedRows<Scalar>& target) {
  for (std::int64_t row = 0; row < rows; ++row)
    for (std::int64_t i = 0; i < width; ++i) round_to(source[row * width + i], target.data[row * target.stride + i]);
}

}  // namespace

NKAT_VECTORIZED void widen_rows(const StridedRows<const float>& source, std::int64_t rows, std::int64_t width,
                                float* target) {
  widen_all(source, rows, width, target);
}
NKAT_VECTORIZED void widen_rows(const StridedRows<const at::BFloat16>& source, std::int64_t rows, std::int64_t width,
                                float* target) {
  widen_all(source, rows, width, target);
}
NKAT_VECTORIZED void round_rows(const float* source, std::int64_t rows, std::int64_t width,
                                const StridedRows<float>& target) {
  round_all(source, rows, width, target);
}
NKAT_VECTORIZED void round_rows(const float* source, std::int64_t rows, std::int64_t width,
                                const StridedRows<at::BFloat16>& target) {
  round_all(source, rows, width, target);
}

}  // namespace nkat::layers::cpu
