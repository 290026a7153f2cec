// The merged model as a Hugging Face folder that transformers loads: config.json, the tokenizer files unchanged or, of a
// GGUF file, written from its keys, and safetensors, sharded as by transformers above the limit. Where config.json or
// tokenizer_config.json has an auto_map, the folder's Python files go along. A quantization_config is left out, and the log
// says so.
//
// All tensors get one type. Streamed like the GGUF export; the folder is published whole or not at all. Errors: as
// gguf_export.h.
#pragma once

#include <cstdint>

#include "core/files/atomic_file.h"
#include "data/quantize/ggml_type.h"
#include "models/weights/weight_source.h"

namespace nkat::exporting {

struct HfExport {
  fs::path model;             // a folder or a GGUF file (models/model_source.h)
  gguf::GgmlType type;        // F32, F16 or BF16
  std::uint64_t shard_bytes;  // most bytes of a shard, unless it is one tensor
};

// Doesn't publish `folder`: the caller adds its report first.
void write_merged_folder(AtomicFolder& folder, const HfExport& options, const models::ModelConfig& config,
                         const models::WeightSource& weights);

}  // namespace nkat::exporting
