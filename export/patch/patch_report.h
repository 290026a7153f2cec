// The report of a patch, and of an export from a GGUF file: export.json and the lines on standard output.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "export/export_report.h"
#include "export/patch/patch.h"

namespace nkat::exporting {

struct PatchReport {
  ExportReport report = {};  // format "gguf-patch", of an export "gguf"
  std::string base = "";     // the file
  std::string merged_from = "";
  std::string paired_by = "";
  std::vector<std::string> replaced = {};  // "ffn_down.weight: q4_1 to q8_0 (6)"
  bool importance = false;                 // the base was made with an importance matrix
  bool is_export = false;                  // of the file as the base itself
  bool encoded_anew = false;               // all tensors
  bool rounded_twice = false;              // encoded anew from a quantized base
};

// What plan and source say; the paths, the self-test and the time are the caller's.
PatchReport report_of(const Patch& patch);

nlohmann::ordered_json report_json(const PatchReport& report);
std::string report_text(const PatchReport& report);

bool is_quantized(const gguf::GgufFile& file);

}  // namespace nkat::exporting
