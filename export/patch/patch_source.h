// What is merged into an existing GGUF file, and the proof that file, adapter and checkpoint belong together.
//
//   with --model-path   adapter and checkpoint by the hash of all weights (export_source.h), checkpoint and file by
//   their
//                       sizes and their norms, equal bit for bit as float32; merged from the checkpoint
//   without             adapter and file by their sizes and the hash of the norms that the adapter's folder names;
//                       merged from the file's own weights, decoded
//
// The file's own weights lie on the grid of their type, so that a change under half a step is rounded back to it where
// the type stays, and the first quantization's noise is in what is merged. A finer --patch-type keeps such changes.
//
// Equal norms don't prove equal weights: a fine-tune whose norms were frozen has its base's, and passes.
//
// Errors: those of phi3_config_from, GgufWeights and the adapter; FormatError for a file that an adapter was merged
// into already, or whose norms are not F32; ShapeError for other sizes than the checkpoint's; DataError for norms that
// differ, or that nothing proves. --allow-base-mismatch logs what it risks instead, where the adapter is in doubt; a
// file that isn't the checkpoint's is refused all the same.
#pragma once

#include <string>

#include "data/formats/gguf_reader.h"
#include "export/export_options.h"
#include "export/gguf/phi3_metadata.h"
#include "export/merge/merged_weights.h"

namespace nkat::exporting {

inline constexpr const char* kMergedFromCheckpoint = "checkpoint";
inline constexpr const char* kMergedFromFile = "file";

struct PatchSource {
  models::Phi3Config config;  // the file's
  Provenance provenance;      // base_sha256: the checkpoint's, else what the file itself names
  MergedWeights weights;
  std::string merged_from;  // one of the two above
  std::string paired_by;    // "norms of the checkpoint", "hash of the norms" or "nothing"
};

// `file` must outlive the result.
PatchSource open_patch_source(const gguf::GgufFile& file, const ExportOptions& options);

}  // namespace nkat::exporting
