// What is exported: a model folder and, where given, the adapter that goes into it, checked to belong together.
#pragma once

#include "export/export_options.h"
#include "export/gguf/phi3_metadata.h"
#include "export/merge/merged_weights.h"

namespace nkat::exporting {

// An adapter folder as far as an export needs it.
struct AdapterParts {
  std::vector<std::vector<float>> blocks;  // as MergedWeights takes them
  Provenance provenance;                   // without base_sha256
  std::string base_name;                   // as the trainer was given it
  std::string base_norms_sha256;           // models/weights/norm_fingerprint.h; empty: the folder doesn't say
};
// Errors: those of models::load_adapter; ShapeError for a hidden size that is no multiple of eight.
AdapterParts read_adapter(const fs::path& folder, const models::Phi3Config& config);
// What --allow-base-mismatch risks, to the log.
void warn_of_mismatch(const AdapterParts& adapter);

struct ExportSource {
  models::Phi3Config config;
  Provenance provenance;
  MergedWeights weights;
};

// Errors: those of config, checkpoint and adapter; DataError for an adapter of another base, unless
// options.allow_base_mismatch, which logs what it risks.
ExportSource open_source(const ExportOptions& options);

}  // namespace nkat::exporting
