// What an export says of itself: export.json beside the file or in the folder, the lines on standard output, and the
// verdict on what was lost.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "export/export_options.h"
#include "export/gguf/phi3_metadata.h"
#include "export/verify/self_test.h"

namespace nkat::exporting {

struct ExportReport {
  std::string output;
  std::string report_file;  // where this report is kept
  std::string modelfile;    // of a GGUF file
  std::string format;
  std::string quantization;
  std::uint64_t bytes = 0;
  bool in_place = false;               // false: a check failed before the output got its name
  std::vector<std::string> files;      // of a folder
  std::int64_t context_length = 0;     // of a GGUF file; 0: a folder
  std::int64_t served_context = 0;     // how much of it to serve (modelfile.h)
  std::map<std::string, int> tensors;  // by stored type
  std::vector<std::string> fallbacks;
  Provenance provenance;
  std::vector<std::string> importance_files;  // empty: nothing was weighed
  std::int64_t importance_tokens = 0;
  std::string importance_sha256;
  std::string self_test;
  SelfTest found;  // empty without self-test
  double seconds = 0;
};

nlohmann::ordered_json report_json(const ExportReport& report);
std::string report_text(const ExportReport& report);
// Indented; names that are no UTF-8 are shown as far as they are.
std::string json_text(const nlohmann::ordered_json& json);

// The self-test of what was written, before it gets its name: runs it if the options ask for one, keeps what it found
// in the report, and throws CheckError if the predictions are too far off.
void test_written(const ExportOptions& options, ExportReport& report, const std::function<SelfTest()>& test);

// CheckError if the adapter's change was lost in a layer. The file is in place all the same, and the message says so.
void require_retention(const ExportReport& report);

}  // namespace nkat::exporting
