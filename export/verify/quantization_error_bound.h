// How far decoded weights may be from the encoded ones if nothing but rounding came between.
//
// Two parts per type. A share of |W'|: half a grid step for the weights of a block that is as wide as its norm allows
// (of 32 weights one at the end of the range, sqrt(31) half steps beside it; for K types also the rounding of the
// scales of narrower sub-blocks). And per weight the rounding of scales below float16's normal range (at most 2^-25,
// times the largest code they multiply). No sound file exceeds the bound; one with another tensor, zeros, or a damaged
// block of large scale does.
#pragma once

#include <cstdint>

#include "data/quantize/ggml_type.h"

namespace nkat::exporting {

// The largest |F - W'| of `elements` weights with |W'| = size.
double quantization_error_bound(gguf::GgmlType type, double size, std::uint64_t elements);

}  // namespace nkat::exporting
