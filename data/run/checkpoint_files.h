// The folders step-N of a run's checkpoints/: their names, their files, and the manifest that says whether one is whole
// (product.md, Files). What the files hold: train/run/checkpoint.h.
//
//   manifest.json   {"version": 1, "files": {NAME: {"size": bytes, "sha256": hex}}}, written last
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/files/file.h"

namespace nkat::data {

inline constexpr const char* kAdapterModelFile = "adapter_model.safetensors";
inline constexpr const char* kAdapterConfigFile = "adapter_config.json";
inline constexpr const char* kStateTensors = "trainer_state.safetensors";
inline constexpr const char* kStateJson = "trainer_state.json";
inline constexpr const char* kManifest = "manifest.json";

fs::path checkpoint_path(const fs::path& checkpoints, std::int64_t step);  // checkpoints/step-000050
// Steps of the folders named step-N, ascending; none if there is no such folder.
std::vector<std::int64_t> saved_steps(const fs::path& checkpoints);

// files: name to bytes.
std::string manifest_text(const std::map<std::string, std::string>& files);
// Throws FormatError or DataError naming the first file that is missing or does not match the manifest.
void verify_manifest(const fs::path& checkpoint);

}  // namespace nkat::data
