// Weights to and from the blocks of a GGUF tensor. Encoded: F32, F16, BF16, Q8_0, Q4_0, Q5_0, Q5_1, Q4_K, Q5_K, Q6_K.
// Decoded: these, by kernels of our own, and every other type that ggml decodes, by ggml (ggml_decoders.h).
//
// The bytes are those of ggml_quantize_chunk, with and without importance, whatever the instructions and the number of
// threads. A row that ggml would store as infinities, NaN or a wiped-out block is refused instead: FormatError with row
// and column, or with the block whose scale doesn't fit. The caller knows the tensor's name and adds it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "data/quantize/ggml_type.h"

namespace nkat::gguf {

struct Rows {
  std::span<const float> values;      // row-major, a whole number of rows
  std::int64_t length = 0;            // of a row; a whole number of the type's blocks
  std::span<const float> importance;  // one finite weight >= 0 a column (F32 to Q8_0 ignore it); empty: none
};

enum class Instructions { kPlain, kAvx2 };
Instructions best_instructions();  // of this processor

// out: exactly tensor_bytes(type, values.size()). On the calling thread.
void encode_rows(GgmlType type, const Rows& rows, std::span<std::byte> out,
                 Instructions instructions = best_instructions());

// The same on all processors, rows split between them.
void encode_tensor(GgmlType type, const Rows& rows, std::span<std::byte> out);

// blocks: exactly tensor_bytes(type, out.size()).
void decode_rows(GgmlType type, std::span<const std::byte> blocks, std::span<float> out,
                 Instructions instructions = best_instructions());

}  // namespace nkat::gguf
