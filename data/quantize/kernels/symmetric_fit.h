// The search for a scale, x ~ scale l with levels l = -half ... half - 1, that Q6_K and weighted Q4_0 and Q5_0 share.
// Each lane fits a block of its own.
//
// e, the first element of largest magnitude, is put near level -half: inverse steps -(half + t / 10) / e are tried for
// t = 0, then -9 ... 9, l = clamp(rne(step x)). scale = sum(w x l) / sum(w l^2); the largest sum(w x l)^2 / sum(w l^2)
// stays. Source: make_qx_quants of ggml-quants.c.
#pragma once

#include "data/quantize/kernels/lanes.h"

namespace nkat::gguf {
namespace {

constexpr float kTinyBlock = 1e-15f;  // blocks whose largest magnitude is below are stored as zeros

struct SymmetricFit {
  Floats scale;
  Floats inverse_step;  // 0 for a tiny block
};

template <int kCount>
struct SymmetricBlocks {
  Floats x[kCount];
  Floats weights[kCount];
  Floats weighted[kCount];  // weights x
};

struct ProjectionSums {
  Floats xl = {}, l2 = {};
};

template <int kCount>
inline Floats extreme_of(const SymmetricBlocks<kCount>& blocks) {
  Floats extreme = {}, most = {};
  for (const Floats& x : blocks.x) {
    const Ints above = magnitude(x) > most;
    most = select(above, magnitude(x), most);
    extreme = select(above, x, extreme);
  }
  return extreme;
}

template <int kCount>
inline ProjectionSums project(const SymmetricBlocks<kCount>& blocks, Floats inverse_step, float half) {
  ProjectionSums sums;
  for (int i = 0; i < kCount; ++i) {
    const Floats nearest_level = nearest_float(inverse_step * blocks.x[i]);
    const Floats level = larger(smaller(nearest_level, all(half - 1.0f)), all(-half));
    sums.xl += blocks.weighted[i] * level;
    sums.l2 += blocks.weights[i] * level * level;
  }
  return sums;
}

// blocks: x and weights set. Values must be finite; where sums overflow, the scale may come out as no number.
template <int kCount>
inline SymmetricFit fit_symmetric(SymmetricBlocks<kCount>& blocks, float half) {
  for (int i = 0; i < kCount; ++i) blocks.weighted[i] = blocks.weights[i] * blocks.x[i];
  const Floats extreme = extreme_of(blocks);
  const Ints tiny = magnitude(extreme) < kTinyBlock;
  const Floats divisor = select(tiny, all(1.0f), extreme);
  Floats best_step = -half / divisor;
  ProjectionSums sums = project(blocks, best_step, half);
  Floats scale = select(sums.l2 != 0.0f, sums.xl / sums.l2, Floats{});
  Floats best = scale * sums.xl;
  for (int t = -9; t <= 9; ++t) {
    if (t == 0) continue;
    const Floats step = -(half + 0.1f * static_cast<float>(t)) / divisor;
    sums = project(blocks, step, half);
    const Ints better = (sums.l2 > 0.0f) & (sums.xl * sums.xl > best * sums.l2);
    const Floats trial = sums.xl / sums.l2;
    scale = select(better, trial, scale);
    best = select(better, trial * sums.xl, best);
    best_step = select(better, step, best_step);
  }
  return {select(tiny, Floats{}, scale), select(tiny, Floats{}, best_step)};
}

// The levels of one block's fit plus half, so 0 ... 2 half - 1, for the elements of `x` (contiguous).
inline Ints symmetric_levels(Floats x, float inverse_step, int half) {
  if (inverse_step == 0.0f) return Ints{};
  return clamp(nearest(inverse_step * x), -half, half - 1) + half;
}

}  // namespace
}  // namespace nkat::gguf
