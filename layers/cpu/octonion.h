// The octonion product as a table, e_i e_j = sign[i][j] e_{index[i][j]} with e_0 = 1, by Cayley-Dickson doubling
// (layers/MATHEMATICS.md 3): ab = (a0 b0 - conj(b1) a1, b1 a0 + a1 conj(b0)). No LibTorch.
#pragma once

#include <array>
#include <cstddef>

#include "layers/cpu/mat8.h"

namespace nkat::layers {

template <std::size_t kSize>
constexpr std::array<int, kSize> conjugate(std::array<int, kSize> a) {
  for (std::size_t i = 1; i < kSize; ++i) a[i] = -a[i];
  return a;
}

template <std::size_t kSize>
constexpr std::array<int, kSize> cayley_dickson(const std::array<int, kSize>& a, const std::array<int, kSize>& b) {
  if constexpr (kSize == 1) {
    return {a[0] * b[0]};
  } else {
    constexpr std::size_t kHalf = kSize / 2;
    std::array<int, kHalf> a0{}, a1{}, b0{}, b1{};
    for (std::size_t i = 0; i < kHalf; ++i) a0[i] = a[i], a1[i] = a[kHalf + i], b0[i] = b[i], b1[i] = b[kHalf + i];
    const auto low = cayley_dickson(a0, b0), low_minus = cayley_dickson(conjugate(b1), a1);
    const auto high = cayley_dickson(b1, a0), high_plus = cayley_dickson(a1, conjugate(b0));
    std::array<int, kSize> out{};
    for (std::size_t i = 0; i < kHalf; ++i) out[i] = low[i] - low_minus[i], out[kHalf + i] = high[i] + high_plus[i];
    return out;
  }
}

struct OctonionTable {
  std::array<std::array<std::size_t, 8>, 8> index{};
  std::array<std::array<int, 8>, 8> sign{};
};

constexpr OctonionTable make_octonion_table() {
  OctonionTable table;
  for (std::size_t i = 0; i < 8; ++i)
    for (std::size_t j = 0; j < 8; ++j) {
      std::array<int, 8> left{}, right{};
      left[i] = right[j] = 1;
      const std::array<int, 8> product = cayley_dickson(left, right);
      for (std::size_t k = 0; k < 8; ++k)
        if (product[k] != 0) table.index[i][j] = k, table.sign[i][j] = product[k];
    }
  return table;
}

inline constexpr OctonionTable kOctonions = make_octonion_table();

// The matrix of y -> x y for the 8 coordinates of x.
NKAT_INLINED Mat8 left_multiplication(const double (&x)[8]) {
  Mat8 out = {};
  for (std::size_t p = 0; p < 8; ++p)
    for (std::size_t q = 0; q < 8; ++q) out.at[kOctonions.index[p][q]][q] = kOctonions.sign[p][q] * x[p];
  return out;
}

// The matrix of x -> x y.
NKAT_INLINED Mat8 right_multiplication(const double (&y)[8]) {
  Mat8 out = {};
  for (std::size_t p = 0; p < 8; ++p)
    for (std::size_t q = 0; q < 8; ++q) out.at[kOctonions.index[p][q]][p] = kOctonions.sign[p][q] * y[q];
  return out;
}

}  // namespace nkat::layers
