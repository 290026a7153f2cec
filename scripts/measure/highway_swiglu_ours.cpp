// The forward row of layers/cpu/swiglu.cpp in our spelling, by what that file is made of. SPELLING names the namespace,
// since a program holds this file twice, compiled with different flags. bfloat16 comes as its bits.
#include "layers/cpu/simd.h"

namespace SPELLING {

namespace cpu = nkat::layers::cpu;

template <typename Scalar>
struct Rows {
  const Scalar* gate_up;  // (T, 2F)
  Scalar* out;            // (T, F)
  std::int64_t width;     // F
};

template <typename Scalar>
NKAT_INLINED void forward_rows(const Rows<Scalar>& run, std::int64_t begin, std::int64_t end) {
  for (std::int64_t row = begin; row < end; ++row) {
    const Scalar *gate = run.gate_up + 2 * row * run.width, *up = gate + run.width;
    Scalar* out = run.out + row * run.width;
    for (std::int64_t i = 0; i < run.width; ++i) {
      const auto g = cpu::widen(gate[i]);
      cpu::round_to(g * (1 / (1 + cpu::exponential(-g))) * cpu::widen(up[i]), out[i]);
    }
  }
}

NKAT_VECTORIZED_LOOP(forward, forward_rows, Rows)

void swiglu(const float* gate_up, float* out, std::int64_t rows, std::int64_t width) {
  forward(Rows<float>{gate_up, out, width}, 0, rows);
}

void swiglu(const std::uint16_t* gate_up, std::uint16_t* out, std::int64_t rows, std::int64_t width) {
  const auto* from = reinterpret_cast<const at::BFloat16*>(gate_up);
  forward(Rows<at::BFloat16>{from, reinterpret_cast<at::BFloat16*>(out), width}, 0, rows);
}

}  // namespace SPELLING
