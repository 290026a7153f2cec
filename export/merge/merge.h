// The adapter folded into the weights: W' = (I + σ(α) R) W, eight rows of W_down at a time (layers/MATHEMATICS.md 2).
//
// Promise: every element is the sum of eight products of float32 numbers, added in float64 in the order of the columns
// of M and rounded once to float32, so |error| <= 2^-24 |W'| + 2^-149, whatever the threads. Nothing is allocated.
#pragma once

#include <cstddef>
#include <span>

namespace nkat::exporting {

inline constexpr std::size_t kBlockRows = 8;

// blocks (N, 8, 8): M of consecutive blocks. rows (8 N, row_length), row-major: W on entry, W' on return.
void merge_rows(std::span<const float> blocks, std::size_t row_length, std::span<float> rows);

}  // namespace nkat::exporting
