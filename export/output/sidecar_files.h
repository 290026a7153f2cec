// Where the report and the Modelfile of a GGUF export go, so that nothing of the user's or of another export is lost.
//
// The names are export.json and Modelfile, beside the file. One that exists and isn't this export's is left alone, and
// <stem>.export.json or <stem>.Modelfile taken instead, then <stem>.2.Modelfile and so on. This export's are a report
// whose output has the same file name, and a Modelfile from the same file that is to the byte as it was written (its
// last line is a mark of the lines before it): one that somebody edited is somebody's.
#pragma once

#include <set>
#include <string>

#include "core/files/file.h"

namespace nkat::exporting {

inline constexpr const char* kReportFile = "export.json";

fs::path report_path(const fs::path& output);
fs::path modelfile_path(const fs::path& output);

// The text with the mark as its last line.
std::string marked(const std::string& modelfile);

// What the report of a folder says that the export wrote; empty if it is none.
std::set<std::string> reported_files(const fs::path& report);

// Removes the report of an older file of this name, which a new one is about to replace.
void remove_outdated_report(const fs::path& output);

}  // namespace nkat::exporting
