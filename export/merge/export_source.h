// What is exported: a model and, if given, its adapter, checked to belong together.
#pragma once

#include "export/export_options.h"
#include "export/gguf/model_metadata.h"
#include "export/merge/merged_weights.h"

namespace nkat::exporting {

// An adapter folder as far as an export needs it.
struct AdapterParts {
  AdapterMatrices matrices;
  Provenance provenance;          // without base_sha256
  std::string base_name;          // as the trainer was given it
  std::string base_norms_sha256;  // models/weights/base_fingerprint.h; empty: the folder doesn't say
};
// given: as --adapter names it (data/run/given_folder.h). Errors: those of find_adapter_folder and load_adapter; ShapeError
// for a hidden size that isn't a multiple of eight.
AdapterParts read_adapter(const fs::path& given, const models::ModelConfig& config);
// Logs the risk of --allow-base-mismatch.
void warn_of_mismatch(const AdapterParts& adapter);

inline constexpr const char* kPairedByWeights = "hash of all weights";
inline constexpr const char* kPairedByNorms = "hash of the norms";
inline constexpr const char* kPairedByNothing = "nothing";

// Names the base of options.model_path in the provenance and returns how the adapter was found to belong to it, one of the
// above. DataError for an adapter of another base, unless options.allow_base_mismatch, which logs the risk.
std::string pair_with_base(AdapterParts& adapter, const models::ModelConfig& config, const ExportOptions& options);

struct ExportSource {
  models::ModelConfig config;
  Provenance provenance;
  MergedWeights weights;
};

// Errors: those of config, checkpoint and adapter; DataError for an adapter of another base, unless
// options.allow_base_mismatch, which logs the risk.
ExportSource open_source(const ExportOptions& options);

}  // namespace nkat::exporting
