// An existing GGUF file with an adapter folded into its ffn_down tensors: `nkat patch`, and `nkat export` from a GGUF file.
//
// Tensors keep their order, and all but those that the adapter changes keep their bytes, with whatever an importance
// matrix put into them, unless all are encoded anew. Metadata keeps its order, values and types, except for the nkat.*
// keys, which are ours, and general.name where another is asked for. general.file_type stays too: it names the type of
// most weights, and ffn_down has a fifth of them; where all are encoded anew it is the recipe's. Written as version 3 and
// in one part. Memory: pieces of 16 MiB, whatever the file's size.
#pragma once

#include <optional>
#include <vector>

#include "data/formats/gguf_reader.h"
#include "export/gguf/tensor_plan.h"
#include "export/patch/patch_source.h"
#include "export/verify/self_test.h"

namespace nkat::exporting {

struct Patch {
  const gguf::GgufFile& base;
  const PatchSource& source;
  gguf::GgufMetadata metadata;
  // In the file's order; those with a source are replaced.
  std::vector<PlannedTensor> plan;
  bool encodes_anew = false;  // all tensors
};

// type: of every replaced tensor, or what rows of that length fall back to; nothing: each keeps its own. FormatError
// naming the tensor if a kept type has no encoder, or one that is merged from no decoder. base and source must outlive
// the result.
Patch plan_patch(const gguf::GgufFile& base, const PatchSource& source, std::optional<gguf::GgmlType> type);
// Each changed tensor in the next finer type that keeps its change (finer_type.h).
Patch plan_finer_patch(const gguf::GgufFile& base, const PatchSource& source, const RetentionLimits& limits);
// All tensors by the recipe. FormatError for one without a decoder.
Patch plan_anew(const gguf::GgufFile& base, const PatchSource& source, QuantizationRecipe recipe);

// Errors: as write_merged_gguf. `path` must not be the base.
void write_patch(const fs::path& path, const Patch& patch, const gguf::VerifyFile& verify = {});

// Can every tensor of the patched file be decoded, as a comparison of logits needs?
bool can_decode_all(const Patch& patch);
// Opens the written file again: metadata and copied tensors must be equal byte for byte; the rest as in self_test.h.
SelfTest self_test_patch(const fs::path& path, const Patch& patch, const SelfTestOptions& options);

}  // namespace nkat::exporting
