// What is exported: a model folder and, where given, the adapter that goes into it, checked to belong together.
#pragma once

#include "export/export_options.h"
#include "export/merged_weights.h"
#include "export/phi3_metadata.h"

namespace nkat::exporting {

struct ExportSource {
  models::Phi3Config config;
  Provenance provenance;
  MergedWeights weights;
};

// Errors: those of config, checkpoint and adapter; DataError for an adapter of another base, unless
// options.allow_base_mismatch, which logs what it risks.
ExportSource open_source(const ExportOptions& options);

}  // namespace nkat::exporting
