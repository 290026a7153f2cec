// What is merged into an existing GGUF file, and the proof that file, adapter and checkpoint belong together.
//
//   with --model-path   adapter and checkpoint by the fingerprint of all weights (export_source.h); checkpoint and file
//                       by their sizes and norms, equal bit for bit as float32. Merged from the checkpoint.
//   without             adapter and file by their sizes and the fingerprint of the norms in the adapter's folder.
//                       Merged from the file's own weights, decoded.
//
// The file's own weights lie on the grid of their type: where the type stays, a change under half a step is rounded
// back, and the first quantization's noise is in what is merged. A finer --patch-type keeps such changes. Equal norms
// don't prove equal weights: a fine-tune with frozen norms passes.
//
// Errors: those of model_config_from, GgufWeights and the adapter; FormatError for a file that already holds an adapter
// or whose norms aren't F32; ShapeError for other sizes than the checkpoint's; DataError for norms that differ or prove
// nothing. --allow-base-mismatch logs the risk instead where the adapter is in doubt; a file that isn't the
// checkpoint's is refused all the same.
#pragma once

#include <string>

#include "data/formats/gguf_reader.h"
#include "export/export_options.h"
#include "export/gguf/model_metadata.h"
#include "export/merge/merged_weights.h"

namespace nkat::exporting {

inline constexpr const char* kMergedFromCheckpoint = "checkpoint";
inline constexpr const char* kMergedFromFile = "file";

struct PatchSource {
  models::ModelConfig config;  // the file's
  Provenance provenance;       // base_sha256: the checkpoint's, else what the file itself names
  MergedWeights weights;
  std::string merged_from;        // one of the two above
  std::string paired_by;          // "norms of the checkpoint", or one of export_source.h
  std::string general_name = {};  // takes the place of the file's; empty: it stays
};

// `file` must outlive the result.
PatchSource open_patch_source(const gguf::GgufFile& file, const ExportOptions& options);

// What `nkat export` merges into the file that is itself the base, options.model_path: paired by the hash of all weights,
// or by the norms with a warning; without an adapter the base alone. An adapter that was merged into the file before is a
// part of its weights. Errors: those of model_config_from, GgufWeights and pair_with_base.
PatchSource open_base_source(const gguf::GgufFile& file, const ExportOptions& options);

}  // namespace nkat::exporting
