// The kernels of one instruction set: one encoder and one decoder per type. Rows are whole blocks long.
#pragma once

#include <cstdint>

#include "data/quantize/ggml_type.h"

namespace nkat::gguf {

struct RowKernels {
  // row: `length` floats (several rows, end to end, where importance is null). importance: as many, or null.
  // False: the row can't be stored, and `out` holds no meaning.
  using Encode = bool (*)(const float* row, std::int64_t length, const float* importance, std::uint8_t* out);
  using Decode = void (*)(const std::uint8_t* blocks, std::int64_t elements, float* out);
  Encode encode = nullptr;  // both null for a type without kernels here
  Decode decode = nullptr;
};

RowKernels plain_kernels(GgmlType type);
// Only for processors that have AVX2. The same as plain_kernels where the program is built for another architecture.
RowKernels avx2_kernels(GgmlType type);

}  // namespace nkat::gguf
