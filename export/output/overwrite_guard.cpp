#include "export/output/overwrite_guard.h"

#include <set>

#include <fmt/format.h>

#include "core/error.h"
#include "core/files/atomic_file.h"
#include "data/formats/gguf_reader.h"
#include "export/gguf/phi3_metadata.h"
#include "export/output/sidecar_files.h"

namespace nkat::exporting {
namespace {

bool is_own_gguf(const fs::path& path) {
  try {
    return gguf::GgufFile(path).metadata().find(kVersionKey) != nullptr;
  } catch (const Error&) {
    return false;
  }
}

// The first file that no export wrote; empty if all are an export's.
std::string foreign_file(const fs::path& folder) {
  const std::set<std::string> written = reported_files(folder / kReportFile);
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (!written.contains(name)) return name;
  }
  return "";
}

void check_folder(const ExportOptions& options) {
  const fs::path output = options.output;
  if (!fs::is_directory(output))
    throw ConfigError(fmt::format("--output: expected a folder, {} is a file", options.output));
  if (fs::equivalent(output, options.model_path))
    throw ConfigError(fmt::format("--output: {} is the model itself; name another folder", options.output));
  if (const std::string other = foreign_file(output); !other.empty()) {
    throw ConfigError(fmt::format(
        "--output: {} holds other files ({}) and would be replaced as a whole; name a new folder, or one that holds "
        "nothing but what an earlier export wrote",
        options.output, other));
  }
}

}  // namespace

fs::path resolved_output(const std::string& output) {
  fs::path path = fs::path(output).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  constexpr int kMostLinks = 40;  // as the system allows
  for (int i = 0; fs::is_symlink(fs::symlink_status(path)); ++i) {
    if (i == kMostLinks) throw ConfigError(fmt::format("--output: {} is a link to itself", output));
    const fs::path target = fs::read_symlink(path);
    path = (target.is_absolute() ? target : folder_of(path) / target).lexically_normal();
  }
  return path;
}

void check_output(const ExportOptions& options) {
  const fs::path output = options.output;
  if (!fs::exists(output)) return;
  if (options.format == ExportFormat::kHf) return check_folder(options);
  if (fs::is_directory(output))
    throw ConfigError(fmt::format("--output: expected a file, {} is a folder", options.output));
  if (is_own_gguf(output)) return;
  throw ConfigError(fmt::format(
      "--output: {} is no GGUF file that `nkat export` wrote and is not replaced; name another, or remove it",
      options.output));
}

}  // namespace nkat::exporting
