#include <ATen/Parallel.h>

#include "layers/cpu/loops.h"
#include "layers/cpu/simd.h"

namespace nkat::layers::cpu {
namespace {

template <typename Scalar>
struct Rotation {
  Scalar* rows;       // (T, row_length)
  const Scalar* cos;  // (T, half)
  const Scalar* sin;  // (T, half)
  std::int64_t row_length, half;
  HeadSpan heads;
  float direction;  // of the sine: 1, or -1 in the backward pass
};

template <typename Scalar>
NKAT_INLINED void rotate_rows(const Rotation<Scalar>& run, std::int64_t begin, std::int64_t end) {
  for (std::int64_t row = begin; row < end; ++row) {
    const Scalar *cos = run.cos + row * run.half, *sin = run.sin + row * run.half;
    for (std::int64_t head = 0; head < run.heads.count; ++head) {
      Scalar* first = run.rows + row * run.row_length + head * run.heads.head_dim;
      Scalar* second = first + run.half;
      for (std::int64_t i = 0; i < run.half; ++i) {
        const auto a = widen(first[i]), b = widen(second[i]), c = widen(cos[i]), s = run.direction * widen(sin[i]);
        round_to(a * c - b * s, first[i]);
        round_to(b * c + a * s, second[i]);
      }
    }
  }
}

NKAT_VECTORIZED_LOOP(rotate, rotate_rows, Rotation)

}  // namespace

void rotate_heads_(const at::Tensor& rows, const RopeAngles& angles, HeadSpan heads, bool back) {
  with_type(rows.scalar_type(), [&]<typename Scalar, typename Sum>(Scalar, Sum) {
    const Rotation<Scalar> run{.rows = rows.mutable_data_ptr<Scalar>(),
                               .cos = angles.cos.const_data_ptr<Scalar>(),
                               .sin = angles.sin.const_data_ptr<Scalar>(),
                               .row_length = rows.size(1),
                               .half = angles.cos.size(1),
                               .heads = heads,
                               .direction = back ? -1.0f : 1.0f};
    at::parallel_for(0, rows.size(0), row_grain(run.row_length),
                     [&](std::int64_t begin, std::int64_t end) { rotate(run, begin, end); });
  });
}

}  // namespace nkat::layers::cpu
