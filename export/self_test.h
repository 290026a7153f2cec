// After an export: the written file is opened again by our own readers, compared with what was to be written, and
// every ffn_down tensor decoded (survival.h).
//
// CheckError (exit 5) if a tensor is missing, has another type or shape, or its decoded weights differ from the merged
// ones by more than its type's rounding can: the file is there, but must not be used.
#pragma once

#include <vector>

#include "export/gguf_export.h"
#include "export/survival.h"

namespace nkat::exporting {

std::vector<TensorSurvival> self_test_gguf(const fs::path& path, const std::vector<PlannedTensor>& plan,
                                           const models::Phi3Config& config, const MergedWeights& weights);
std::vector<TensorSurvival> self_test_folder(const fs::path& folder, gguf::GgmlType type, const MergedWeights& weights);

// The largest |F - W'| / |W'| that storing a tensor as this type can make.
double largest_rounding_error(gguf::GgmlType type);

}  // namespace nkat::exporting
