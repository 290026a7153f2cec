#include "export/output/output_files.h"

#include <functional>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files/atomic_file.h"
#include "core/files/sha256.h"
#include "core/json.h"
#include "data/formats/gguf_reader.h"
#include "export/gguf/model_metadata.h"

namespace nkat::exporting {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::uint64_t kReportLimit = 64 << 20;
constexpr std::uint64_t kModelfileLimit = 1 << 20;
constexpr const char* kMark = "# written by nkat export, ";

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

std::string mark_of(const std::string& text) { return fmt::format("{}{}\n", kMark, sha256_hex(text).substr(0, 16)); }

// Null if it isn't a report.
Json read_report(const fs::path& path) {
  try {
    Json report = parse_json(read_file(path, kReportLimit), path.string());
    const bool ours = report.is_object() && report.contains("nkat") && report.value("output", Json()).is_string();
    return ours ? report : Json();
  } catch (const Error&) {
    return {};
  }
}

bool is_modelfile_of(const fs::path& path, const fs::path& output) {
  std::string text;
  try {
    text = read_file(path, kModelfileLimit);
  } catch (const Error&) {
    return false;
  }
  const std::size_t mark = text.rfind(kMark);
  return mark != std::string::npos && text.starts_with(fmt::format("FROM ./{}\n", output.filename().string())) &&
         text.substr(mark) == mark_of(text.substr(0, mark));
}

fs::path first_free(const fs::path& output, const char* name, const std::function<bool(const fs::path&)>& is_ours) {
  const std::string stem = output.stem().string();
  for (int i = 0;; ++i) {
    const std::string candidate = i == 0   ? name
                                  : i == 1 ? fmt::format("{}.{}", stem, name)
                                           : fmt::format("{}.{}.{}", stem, i, name);
    const fs::path path = output.parent_path() / candidate;
    if (path == output) continue;
    if (!fs::exists(fs::symlink_status(path)) || (fs::is_regular_file(path) && is_ours(path))) return path;
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

fs::path report_path(const fs::path& output) {
  return first_free(output, kReportFile, [&](const fs::path& path) {
    const Json report = read_report(path);
    return !report.is_null() && fs::path(report["output"].get<std::string>()).filename() == output.filename();
  });
}

fs::path modelfile_path(const fs::path& output) {
  return first_free(output, "Modelfile", [&](const fs::path& path) { return is_modelfile_of(path, output); });
}

std::string marked(const std::string& modelfile) { return modelfile + mark_of(modelfile); }

std::set<std::string> reported_files(const fs::path& report) {
  const Json content = read_report(report);
  std::set<std::string> names;
  if (content.is_null() || !content.contains("files")) return names;
  for (const Json& name : content["files"]) {
    if (name.is_string()) names.insert(name.get<std::string>());
  }
  return names;
}

void remove_outdated_report(const fs::path& output) {
  std::error_code ignored;
  fs::remove(report_path(output), ignored);
}

}  // namespace nkat::exporting
