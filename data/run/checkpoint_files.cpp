#include "data/run/checkpoint_files.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files/sha256.h"
#include "core/json.h"
#include "core/json_object.h"

namespace nkat::data {
namespace {

using Json = nlohmann::ordered_json;
constexpr std::int64_t kManifestVersion = 1;
constexpr std::uint64_t kManifestLimit = 1 << 20;
constexpr std::uint64_t kFileLimit = 8ULL << 30;
constexpr const char *kVersionKey = "version", *kFilesKey = "files", *kSizeKey = "size", *kHashKey = "sha256";

}  // namespace

std::string manifest_text(const std::map<std::string, std::string>& files) {
  Json manifest = {{kVersionKey, kManifestVersion}, {kFilesKey, Json::object()}};
  for (const auto& [name, bytes] : files)
    manifest[kFilesKey][name] = {{kSizeKey, bytes.size()}, {kHashKey, sha256_hex(bytes)}};
  return manifest.dump(2) + "\n";
}

void verify_manifest(const fs::path& checkpoint) {
  const fs::path path = checkpoint / kManifest;
  const Json json = parse_json(read_file(path, kManifestLimit), path.string());
  const JsonObject files = JsonObject(json, path.string()).object(kFilesKey);
  for (const char* name : {kAdapterModelFile, kAdapterConfigFile, kStateTensors, kStateJson}) {
    const JsonObject stated = files.object(name);
    const auto size = static_cast<std::uint64_t>(stated.integer(kSizeKey));
    const std::string sha256 = stated.string(kHashKey);
    const fs::path file = checkpoint / name;
    const std::string bytes = read_file(file, kFileLimit);
    if (bytes.size() != size || sha256_hex(bytes) != sha256) {
      throw FormatError(
          fmt::format("{}: size or SHA-256 differ from the manifest; the file is damaged", file.string()));
    }
  }
}

}  // namespace nkat::data
