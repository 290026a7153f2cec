// Blocks decoded by ggml itself (ggml-base, linked statically): the types for which quantize/kernels/ has no kernel of its
// own, since nothing is written in them here: Q4_1, Q2_K, Q3_K, the IQ and TQ types, MXFP4, NVFP4, Q1_0, Q2_0.
#pragma once

#include <cstddef>
#include <span>

#include "data/quantize/ggml_type.h"

namespace nkat::gguf {

// A type that ggml decodes, F32 excepted. blocks: exactly tensor_bytes(type, out.size()); every bit pattern has a value,
// which may be NaN or infinite. May be called from several threads.
void decode_by_ggml(GgmlType type, std::span<const std::byte> blocks, std::span<float> out);

}  // namespace nkat::gguf
