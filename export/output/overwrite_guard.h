// Where an export may be written: it replaces an earlier export and nothing else.
#pragma once

#include "core/files/file.h"
#include "export/export_options.h"

namespace nkat::exporting {

// The path that --output means: "out/hf/" is "out/hf", and a link is its target.
fs::path resolved_output(const std::string& output);

// ConfigError for a folder where a file is written or the other way round, a GGUF file that `nkat export` didn't write,
// a folder that holds anything but what an export put there, and the model itself. Creates nothing.
void check_output(const ExportOptions& options);

}  // namespace nkat::exporting
