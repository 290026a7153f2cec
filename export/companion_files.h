// Where the report and the Modelfile of a GGUF export go, so that nothing of the user's or of another export is lost.
//
// The names are export.json and Modelfile, beside the file. One that exists and isn't this export's is left alone, and
// <stem>.export.json or <stem>.Modelfile taken instead, then <stem>.2.Modelfile and so on. This export's are a report
// whose output has the same file name, and a Modelfile from the same file that is to the byte as it was written (its
// last line is a mark of the lines before it): one that somebody edited is somebody's.
#pragma once

#include <string>

#include "core/file.h"

namespace nkat::exporting {

inline constexpr const char* kReportFile = "export.json";

fs::path report_path(const fs::path& output);
fs::path modelfile_path(const fs::path& output);

// The text with the mark as its last line.
std::string marked(const std::string& modelfile);

// Is there a report of an export in this format ("hf") under this name?
bool is_report(const fs::path& path, const std::string& format);

}  // namespace nkat::exporting
