// The report of an export: export.json beside the file or in the folder, the lines on standard output, and the verdict
// on lost layers.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "core/error.h"
#include "export/export_options.h"
#include "export/gguf/model_metadata.h"
#include "export/verify/self_test.h"

namespace nkat::exporting {

struct ExportReport {
  std::string output;
  std::string report_file;  // where this report is kept
  std::string modelfile;    // of a GGUF file
  std::string format;
  std::string quantization;
  std::uint64_t bytes = 0;
  bool in_place = false;               // published; false: a check failed before
  std::vector<std::string> files;      // of a folder
  std::int64_t context_length = 0;     // of a GGUF file; 0: a folder
  std::int64_t served_context = 0;     // how much of it to serve with (modelfile.h)
  bool has_long_factors = false;       // rope factors that llama.cpp takes beyond served_context
  std::map<std::string, int> tensors;  // by stored type
  std::vector<std::string> fallbacks;
  Provenance provenance;
  std::vector<std::string> importance_files;  // empty: unweighted
  std::int64_t importance_tokens = 0;
  std::string importance_sha256;
  std::string self_test;
  SelfTest found;  // empty without self-test
  double seconds = 0;
};

nlohmann::ordered_json report_json(const ExportReport& report);
std::string report_text(const ExportReport& report);
// Indented; invalid UTF-8 in names is replaced.
std::string json_text(const nlohmann::ordered_json& json);

// Verifies the written file before it is published: runs `test` if the options ask for one, keeps its findings in the
// report, and throws CheckError if the predictions are too far off.
void test_written(const ExportOptions& options, ExportReport& report, const std::function<SelfTest()>& test);

// CheckError if the adapter's change was lost in a layer. The file is published all the same, and the message says so.
void require_retention(const ExportReport& report);

// Runs `work`. The CheckError that ended it is for the caller to throw once the report is printed.
std::optional<CheckError> failed_check(const std::function<void()>& work);
// Writes the report of an output that is already published.
void keep_report(const std::string& path, const nlohmann::ordered_json& report, const std::string& output);

}  // namespace nkat::exporting
