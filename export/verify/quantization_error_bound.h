// How far decoded weights may be from those that were encoded, if nothing but rounding came between.
//
// Of every type two parts: half a step of its grid for weights of a block that is as wide as its norm allows (of 32
// weights one at the end of the range, sqrt(31) half steps beside it; for the K types also the rounding of the scales
// of narrower sub-blocks), a share of |W'|; and the rounding of scales below float16's normal range (2^-25 at most,
// times the largest number that it is multiplied by), for each weight. No sound file passes it; one that holds another
// tensor, zeros, or a damaged block of large scale does.
#pragma once

#include <cstdint>

#include "data/quantize/ggml_type.h"

namespace nkat::exporting {

// The largest |F - W'| of `elements` weights with |W'| = size.
double quantization_error_bound(gguf::GgmlType type, double size, std::uint64_t elements);

}  // namespace nkat::exporting
