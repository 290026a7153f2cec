// The manifest of a checkpoint: which files belong to it and whether they are whole.
//
//   manifest.json   {"version": 1, "files": {NAME: {"size": bytes, "sha256": hex}}}, written last
//
// The adapter's files: adapter_config.h. The trainer's: trainer_state.h. Names: run_layout.h.
#pragma once

#include <map>
#include <string>

#include "data/run/run_layout.h"

namespace nkat::data {

// files: name to bytes.
std::string manifest_text(const std::map<std::string, std::string>& files);
// Throws FormatError or DataError naming the first file that is missing or does not match the manifest.
void verify_manifest(const fs::path& checkpoint);

}  // namespace nkat::data
