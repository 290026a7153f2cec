// `nkat export --patch BASE.gguf`: an existing GGUF file with the adapter merged in.
#pragma once

#include "export/export_options.h"
#include "export/export_report.h"

namespace nkat::exporting {

struct PatchReport {
  ExportReport report;  // format "gguf-patch"; quantization: by the file's general.file_type
  std::string base;
  std::string merged_from;
  std::string paired_by;
  std::vector<std::string> replaced;  // "ffn_down.weight: q4_1 to q8_0 (6 tensors)"
  bool importance = false;            // the base was made with an importance matrix
};

nlohmann::ordered_json report_json(const PatchReport& report);
std::string report_text(const PatchReport& report);

// Writes options.output and fills `report`, seconds aside. Errors: those of patch_source.h and patch.h; ConfigError if
// the output is the base itself, by whatever name. After a CheckError `report` says what was found.
void export_patch(const ExportOptions& options, PatchReport& report);

}  // namespace nkat::exporting
