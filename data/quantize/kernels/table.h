// The kernels of one instruction set, found by type. Included by one source file an instruction set.
#pragma once

#include "data/quantize/kernels.h"
#include "data/quantize/kernels/float_types.h"
#include "data/quantize/kernels/q4_k_q5_k.h"
#include "data/quantize/kernels/q6_k.h"
#include "data/quantize/kernels/q8_0.h"
#include "data/quantize/kernels/weighted_legacy.h"

namespace nkat::gguf {
namespace {

inline RowKernels kernels_of(GgmlType type) {
  switch (type) {
    case GgmlType::kF32: return {encode_f32, decode_f32};
    case GgmlType::kF16: return {encode_f16, decode_f16};
    case GgmlType::kBF16: return {encode_bf16, decode_bf16};
    case GgmlType::kQ8_0: return {encode_q8_0, decode_q8_0};
    case GgmlType::kQ4_0: return {encode_q4_0, decode_q4_0};
    case GgmlType::kQ5_0: return {encode_q5_0, decode_q5_0};
    case GgmlType::kQ5_1: return {encode_q5_1, decode_q5_1};
    case GgmlType::kQ4_K: return {encode_affine<4>, decode_affine<4>};
    case GgmlType::kQ5_K: return {encode_affine<5>, decode_affine<5>};
    case GgmlType::kQ6_K: return {encode_q6_k, decode_q6_k};
    default: return {};
  }
}

}  // namespace
}  // namespace nkat::gguf
