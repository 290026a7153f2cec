// The type in which a quantized file keeps an adapter's change: what it is stored in lies on a grid, which a small change
// would be rounded back to.
//
// Candidates are the types with more bits a weight than the stored one, in this order:
//   rows of whole super-blocks (256)   q4_K 4.5, q5_K 5.5, q6_K 6.5625, q8_0 8.5, f16 16
//   other rows of whole blocks (32)    q4_0 4.5, q5_1 6, q8_0 8.5, f16 16
//   any other row                      f16
// and the first that keeps the change (RetentionStatus::kKept, against the file's own decoded weights) is taken, else the
// last. A tensor in F32, F16 or BF16 stays in it.
#pragma once

#include <vector>

#include "data/quantize/ggml_type.h"
#include "export/merge/merged_weights.h"
#include "export/verify/adapter_retention.h"

namespace nkat::exporting {

double bits_a_weight(gguf::GgmlType type);
// Never empty; the stored type alone where there is none.
std::vector<gguf::GgmlType> finer_types(gguf::GgmlType stored, std::uint64_t row_length);

// tensor: by its name in the checkpoint, one that the adapter changes. Errors: as produce_encoded.
gguf::GgmlType type_that_keeps(const MergedWeights& weights, const std::string& tensor, gguf::GgmlType stored,
                               const RetentionLimits& limits);

}  // namespace nkat::exporting
