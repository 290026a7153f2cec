#include "data/run/checkpoint_files.h"

#include <algorithm>
#include <charconv>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files/sha256.h"
#include "core/json.h"

namespace nkat::data {
namespace {

using Json = nlohmann::ordered_json;
constexpr std::int64_t kManifestVersion = 1;
constexpr std::uint64_t kLargestFile = 8ULL << 30;

}  // namespace

fs::path checkpoint_path(const fs::path& checkpoints, std::int64_t step) {
  return checkpoints / fmt::format("step-{:06}", step);
}

std::vector<std::int64_t> saved_steps(const fs::path& checkpoints) {
  std::vector<std::int64_t> steps;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(checkpoints, ignored)) {
    const std::string name = entry.path().filename().string();
    std::int64_t step = 0;
    const char* end = name.data() + name.size();
    if (name.rfind("step-", 0) != 0 || std::from_chars(name.data() + 5, end, step).ptr != end) continue;
    // Another spelling of the number, one too large for it or below 0 is no checkpoint of ours.
    if (step >= 0 && checkpoint_path(checkpoints, step).filename() == name) steps.push_back(step);
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

std::string manifest_text(const std::map<std::string, std::string>& files) {
  Json manifest = {{"version", kManifestVersion}, {"files", Json::object()}};
  for (const auto& [name, bytes] : files)
    manifest["files"][name] = {{"size", bytes.size()}, {"sha256", sha256_hex(bytes)}};
  return manifest.dump(2) + "\n";
}

void verify_manifest(const fs::path& path) {
  const fs::path manifest_path = path / kManifest;
  const Json manifest = parse_json(read_file(manifest_path, 1 << 20), manifest_path.string());
  for (const char* name : {kAdapterModelFile, kAdapterConfigFile, kStateTensors, kStateJson}) {
    const Json::json_pointer entry = Json::json_pointer("/files") / name;
    const Json size = manifest.contains(entry / "size") ? manifest[entry / "size"] : Json();
    const Json sha256 = manifest.contains(entry / "sha256") ? manifest[entry / "sha256"] : Json();
    if (!size.is_number_unsigned() || !sha256.is_string()) {
      throw FormatError(fmt::format("{}: size and sha256 of {} were expected", manifest_path.string(), name));
    }
    const std::string bytes = read_file(path / name, kLargestFile);
    if (bytes.size() != size.get<std::uint64_t>() || sha256_hex(bytes) != sha256.get<std::string>()) {
      throw FormatError(
          fmt::format("{}: size or SHA-256 differ from the manifest; the file is damaged", (path / name).string()));
    }
  }
}

}  // namespace nkat::data
