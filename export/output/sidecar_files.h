// The paths of a GGUF export's report and Modelfile, such that no file of the user or of another export is overwritten.
//
// The names are export.json and Modelfile, beside the file. If one exists and isn't this export's, <stem>.export.json
// or <stem>.Modelfile is used instead, then <stem>.2.Modelfile and so on. This export's are a report whose output has
// the same file name, and a Modelfile from the same file whose last line is the checksum of the lines before it: an
// edited one is never overwritten.
#pragma once

#include <set>
#include <string>

#include "core/files/file.h"

namespace nkat::exporting {

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
