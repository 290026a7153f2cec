#include "export/merge/merge.h"

#include <algorithm>
#include <array>

#include "core/error.h"
#include "core/parallel.h"

namespace nkat::exporting {
namespace {

constexpr std::size_t kBlockSize = kBlockRows * kBlockRows;
constexpr std::size_t kColumns = 64;  // a strip of eight rows and their sums stays in the first-level cache

// Columns [begin, end) of eight rows.
void merge_strip(const float* matrix, std::size_t row_length, std::size_t begin, std::size_t end, float* rows) {
  std::array<std::array<double, kColumns>, kBlockRows> sums{};
  const std::size_t width = end - begin;
  for (std::size_t j = 0; j < kBlockRows; ++j) {
    const float* source = rows + j * row_length + begin;
    for (std::size_t i = 0; i < kBlockRows; ++i) {
      const double factor = matrix[i * kBlockRows + j];
      for (std::size_t c = 0; c < width; ++c) sums[i][c] += factor * static_cast<double>(source[c]);
    }
  }
  for (std::size_t i = 0; i < kBlockRows; ++i) {
    float* target = rows + i * row_length + begin;
    for (std::size_t c = 0; c < width; ++c) target[c] = static_cast<float>(sums[i][c]);
  }
}

}  // namespace

void merge_rows(std::span<const float> blocks, std::size_t row_length, std::span<float> rows) {
  NKAT_INVARIANT(blocks.size() % kBlockSize == 0);
  NKAT_INVARIANT(rows.size() == blocks.size() / kBlockRows * row_length);
  parallel_for(blocks.size() / kBlockSize, [&](std::size_t block) {
    for (std::size_t begin = 0; begin < row_length; begin += kColumns) {
      merge_strip(blocks.data() + block * kBlockSize, row_length, begin, std::min(begin + kColumns, row_length),
                  rows.data() + block * kBlockRows * row_length);
    }
  });
}

}  // namespace nkat::exporting
