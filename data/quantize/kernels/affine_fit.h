// The search for a scale and a minimum, x ~ scale l + minimum with levels l = 0 ... top, that Q4_K, Q5_K and weighted
// Q5_1 share. Each lane fits a block of its own.
//
// It starts from minimum = min(x, 0) and scale = (max x - minimum) / top, and tries the inverse steps
// s = (first + step t + top) / (max x - minimum), t = 0 ... last: l = clamp(rne(s (x - minimum)), 0, top), then the
// weighted least squares for (scale, minimum) given l, with the minimum kept at or below 0. What has the smallest sum
// of w (scale l + minimum - x)^2 so far stays, and its minimum is the next trial's. Source: make_qkx2_quants and
// make_qkx3_quants of ggml-quants.c, which do the same once weights are given.
#pragma once

#include "data/quantize/kernels/lanes.h"

namespace nkat::gguf {
namespace {

struct AffineSearch {
  float top = 15.0f;
  float first = -1.0f;
  float step = 0.1f;
  int last = 20;
};

// How the levels are cut off. An outlier of little weight can lie millions of steps from the rest: there the bits that
// rounding leaves decide without importance, the float's own order with it.
enum class CutOff { kRoundedBits, kFloat };

// v = inverse_step (x - minimum)
template <CutOff kCutOff>
inline Floats level_of(Floats v, float top) {
  if constexpr (kCutOff == CutOff::kFloat) return nearest_float(smaller(larger(v, Floats{}), all(top)));
  return to_floats(clamp(nearest(v), 0, static_cast<std::int32_t>(top)));
}

// The levels of a fit: level_of(inverse_step (x - low)).
struct AffineLevels {
  Floats low;
  Floats inverse_step;
};

struct AffineFit {
  Floats scale;
  Floats minimum;  // -minimum of the formula: ggml stores what is to be subtracted
  AffineLevels levels;
};

// The first guess has all levels 0 where 1 / range overflows.
inline Floats zero_if_infinite(Floats x) { return select(x <= kLargest, x, Floats{}); }

// Sums over a block, for one set of levels.
struct LevelSums {
  Floats l = {}, l2 = {}, xl = {};
};

template <int kCount>
struct AffineBlocks {
  Floats x[kCount];
  Floats weights[kCount];
  Floats levels[kCount];  // under trial
  Floats sum_w, sum_x, low, high;
};

template <int kCount>
inline void measure(AffineBlocks<kCount>& blocks) {
  Floats low = blocks.x[0], high = blocks.x[0];
  blocks.sum_w = blocks.weights[0];
  blocks.sum_x = blocks.sum_w * blocks.x[0];
  for (int i = 1; i < kCount; ++i) {
    low = smaller(blocks.x[i], low);
    high = larger(blocks.x[i], high);
    blocks.sum_w += blocks.weights[i];
    blocks.sum_x += blocks.weights[i] * blocks.x[i];
  }
  blocks.low = select(low > 0.0f, Floats{}, low);
  blocks.high = high;
}

template <CutOff kCutOff, int kCount>
inline LevelSums choose_levels(AffineBlocks<kCount>& blocks, const AffineLevels& by, float top) {
  LevelSums sums;
  for (int i = 0; i < kCount; ++i) {
    const Floats level = level_of<kCutOff>(by.inverse_step * (blocks.x[i] - by.low), top);
    const Floats weighted = blocks.weights[i] * level;
    blocks.levels[i] = level;
    sums.l += weighted;
    sums.l2 += weighted * level;
    sums.xl += weighted * blocks.x[i];
  }
  return sums;
}

template <int kCount>
inline Floats squared_error(const AffineBlocks<kCount>& blocks, Floats scale, Floats minimum) {
  Floats sum = {};
  for (int i = 0; i < kCount; ++i) {
    const Floats difference = scale * blocks.levels[i] + minimum - blocks.x[i];
    sum += blocks.weights[i] * (difference * difference);
  }
  return sum;
}

// blocks: x and weights set. Values must be finite; where sums overflow, scale or minimum may come out as no number.
template <CutOff kCutOff, int kCount>
inline AffineFit fit_affine(AffineBlocks<kCount>& blocks, const AffineSearch& search) {
  measure(blocks);
  const Ints flat = blocks.high <= blocks.low;
  const Floats guess = search.top / (blocks.high - blocks.low);
  Floats scale = select(flat, Floats{}, 1.0f / guess), minimum = blocks.low;
  AffineLevels levels = {blocks.low, zero_if_infinite(guess)};
  choose_levels<kCutOff>(blocks, levels, search.top);
  Floats least = select(flat, Floats{}, squared_error(blocks, scale, minimum));
  for (int t = 0; t <= search.last; ++t) {
    const float steps = search.first + search.step * static_cast<float>(t) + search.top;
    const AffineLevels trial = {minimum, steps / (blocks.high - minimum)};
    const LevelSums sums = choose_levels<kCutOff>(blocks, trial, search.top);
    const Floats determinant = blocks.sum_w * sums.l2 - sums.l * sums.l;
    const Floats free_scale = (blocks.sum_w * sums.xl - blocks.sum_x * sums.l) / determinant;
    const Floats free_minimum = (sums.l2 * blocks.sum_x - sums.l * sums.xl) / determinant;
    const Ints above = free_minimum > 0.0f;
    const Floats trial_minimum = select(above, Floats{}, free_minimum);
    const Floats trial_scale = select(above, sums.xl / sums.l2, free_scale);
    const Floats error = squared_error(blocks, trial_scale, trial_minimum);
    const Ints better = (determinant > 0.0f) & (error < least);
    least = select(better, error, least);
    scale = select(better, trial_scale, scale);
    minimum = select(better, trial_minimum, minimum);
    levels.low = select(better, trial.low, levels.low);
    levels.inverse_step = select(better, trial.inverse_step, levels.inverse_step);
  }
  return {scale, -minimum, levels};
}

// One block's levels for the elements of `x` (contiguous), from its lane of a fit.
template <CutOff kCutOff>
inline Ints fitted_levels(Floats x, float low, float inverse_step, float top) {
  return truncate(level_of<kCutOff>(inverse_step * (x - low), top));
}

}  // namespace
}  // namespace nkat::gguf
