// 8x8 matrices of doubles on the CPU, row-major, for the rotation and the triality loss. No LibTorch.
#pragma once

#include <cstddef>
#include <cstring>

#include "layers/cpu/multiversion.h"

namespace nkat::layers {

struct Mat8 {
  alignas(64) double at[8][8];
};

constexpr Mat8 kIdentity8 = {{{1, 0, 0, 0, 0, 0, 0, 0},
                              {0, 1, 0, 0, 0, 0, 0, 0},
                              {0, 0, 1, 0, 0, 0, 0, 0},
                              {0, 0, 0, 1, 0, 0, 0, 0},
                              {0, 0, 0, 0, 1, 0, 0, 0},
                              {0, 0, 0, 0, 0, 1, 0, 0},
                              {0, 0, 0, 0, 0, 0, 1, 0},
                              {0, 0, 0, 0, 0, 0, 0, 1}}};

// A row as one vector type of the compiler: plain loops take ten times as long with gcc 12.
typedef double Row8 __attribute__((vector_size(64)));

// out = start + factor * a b; start may be out, a and b may not.
NKAT_INLINED void multiply_add(const Mat8& start, double factor, const Mat8& a, const Mat8& b, Mat8& out) {
  Row8 rows[8];
  std::memcpy(rows, b.at, sizeof(rows));
  for (std::size_t row = 0; row < 8; ++row) {
    Row8 sum = {}, total;
    for (std::size_t k = 0; k < 8; ++k) sum += a.at[row][k] * rows[k];
    std::memcpy(&total, start.at[row], sizeof(total));
    total += factor * sum;
    std::memcpy(out.at[row], &total, sizeof(total));
  }
}

NKAT_INLINED Mat8 multiply(const Mat8& a, const Mat8& b) {
  Mat8 out = {};
  multiply_add(out, 1.0, a, b, out);
  return out;
}

NKAT_INLINED Mat8 transpose(const Mat8& a) {
  Mat8 out;
  for (std::size_t row = 0; row < 8; ++row)
    for (std::size_t column = 0; column < 8; ++column) out.at[row][column] = a.at[column][row];
  return out;
}

// (a - a^T) / 2
NKAT_INLINED Mat8 skew_part(const Mat8& a) {
  Mat8 out;
  for (std::size_t row = 0; row < 8; ++row)
    for (std::size_t column = 0; column < 8; ++column)
      out.at[row][column] = 0.5 * (a.at[row][column] - a.at[column][row]);
  return out;
}

NKAT_INLINED Mat8 load_matrix8(const double* row_major) {
  Mat8 out;
  for (std::size_t entry = 0; entry < 64; ++entry) out.at[entry / 8][entry % 8] = row_major[entry];
  return out;
}

NKAT_INLINED void store_matrix8(const Mat8& a, double* row_major) {
  for (std::size_t entry = 0; entry < 64; ++entry) row_major[entry] = a.at[entry / 8][entry % 8];
}

}  // namespace nkat::layers
