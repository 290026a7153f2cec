// The merged model as a Hugging Face folder that transformers loads: config.json, tokenizer files as they were, and
// safetensors, sharded like transformers' own where they pass the limit.
//
// All tensors get one type. Streamed like the GGUF export; the folder appears whole or not at all. Errors: as
// gguf_export.h.
#pragma once

#include <cstdint>

#include "core/files/atomic_file.h"
#include "data/quantize/ggml_type.h"
#include "export/merge/merged_weights.h"
#include "models/config.h"

namespace nkat::exporting {

struct HfExport {
  fs::path model_folder;
  gguf::GgmlType type;        // F32, F16 or BF16
  std::uint64_t shard_bytes;  // a shard holds at most so many, or one tensor
};

// `folder` is not published: the caller adds its report and does that.
void write_merged_folder(AtomicFolder& folder, const HfExport& options, const models::Phi3Config& config,
                         const MergedWeights& weights);

}  // namespace nkat::exporting
