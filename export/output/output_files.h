// Where an export may be written: it replaces an earlier export and nothing else, and its report and Modelfile take names
// that are free.
#pragma once

#include <set>
#include <string>

#include "core/files/file.h"
#include "export/export_options.h"

namespace nkat::exporting {

// The path that --output means: "out/hf/" is "out/hf", and a link is its target.
fs::path resolved_output(const std::string& output);

// ConfigError for a folder where a file is written or the other way round, a GGUF file that `nkat export` didn't write,
// a folder that holds anything but what an export put there, and the model itself. Creates nothing.
void check_output(const ExportOptions& options);

// The paths of a GGUF export's report and Modelfile, such that no file of the user or of another export is overwritten.
//
// The names are export.json and Modelfile, beside the file. If one exists and isn't this export's, <stem>.export.json
// or <stem>.Modelfile is used instead, then <stem>.2.Modelfile and so on. This export's are a report whose output has
// the same file name, and a Modelfile from the same file whose last line is the checksum of the lines before it: an
// edited one is never overwritten.

inline constexpr const char* kReportFile = "export.json";

fs::path report_path(const fs::path& output);
fs::path modelfile_path(const fs::path& output);

// The text with its checksum as the last line.
std::string marked(const std::string& modelfile);

// The files that the export of a folder wrote, by its report; empty if that isn't one.
std::set<std::string> reported_files(const fs::path& report);

// Removes the report of an older file of this name, before a new one replaces it.
void remove_outdated_report(const fs::path& output);

}  // namespace nkat::exporting
