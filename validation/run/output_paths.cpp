#include "validation/run/output_paths.h"

#include <algorithm>
#include <cctype>
#include <fstream>

#include <fmt/ranges.h>

#include "core/error.h"
#include "core/message.h"
#include "data/run/run_layout.h"

namespace nkat::validation {
namespace {

fs::path resolved(const fs::path& path) {
  std::error_code error;
  const fs::path found = fs::weakly_canonical(fs::absolute(path), error);
  return error ? fs::absolute(path).lexically_normal() : found;
}

// What a training writes into its folder, and everything below these.
bool belongs_to_run(const fs::path& path, const fs::path& run) {
  const fs::path folder = resolved(run);
  if (folder.filename() == data::kCheckpointsFolder && path.string().starts_with(folder.string() + "/")) return true;
  for (const fs::path& root : {folder, folder.parent_path()}) {
    if (root != folder && folder.filename() != data::kCheckpointsFolder) continue;
    const fs::path inside = path.lexically_relative(root);
    if (!inside.empty() && std::ranges::find(data::kRunEntries, inside.begin()->string()) != data::kRunEntries.end())
      return true;
  }
  return false;
}

void require_writable(const OutputPath& output) {
  const fs::path folder = fs::absolute(output.path).parent_path();
  std::error_code error;
  if (!fs::is_directory(folder, error))
    throw DataError(fmt::format("{} {}: the folder {} does not exist; create it first", output.option,
                                output.path.string(), folder.string()));
  if (fs::is_directory(output.path, error))
    throw ConfigError(fmt::format("{} {}: {}", output.option, output.path.string(), expected("a file", "a folder")));
  const fs::path probe = output.path.string() + ".probe";
  const bool written = static_cast<bool>(std::ofstream(probe) << 'x' << std::flush);
  fs::remove(probe, error);
  if (!written)
    throw DeviceError(fmt::format("{} {}: nothing can be written into {}; is the disk full, or the folder read-only?",
                                  output.option, output.path.string(), folder.string()));
}

}  // namespace

fs::path plot_folder(const fs::path& report) { return report.parent_path() / (report.stem().string() + "-plots"); }

fs::path default_transition_plot(const fs::path& report) {
  return report.parent_path() / (report.stem().string() + "-transition.png");
}

std::string lower_ending(const fs::path& path) {
  std::string ending = path.extension().string();
  for (char& letter : ending) letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
  return ending;
}

void check_output_paths(const std::vector<OutputPath>& outputs, const std::vector<fs::path>& inputs,
                        const std::vector<fs::path>& runs) {
  std::vector<fs::path> taken;
  for (const OutputPath& output : outputs) {
    const std::string shown = fmt::format("{} '{}'", output.option, output.path.string());
    if (output.path.empty()) throw ConfigError(fmt::format("{}: {}", output.option, expected("a file name", "''")));
    if (!output.endings.empty() &&
        std::ranges::find(output.endings, lower_ending(output.path)) == output.endings.end()) {
      throw ConfigError(fmt::format("{}: {}", output.option,
                                    expected(fmt::format("a name that ends in {}", fmt::join(output.endings, ", ")),
                                             fmt::format("'{}'", output.path.string()))));
    }
    const fs::path path = resolved(output.path);
    if (std::ranges::find(taken, path) != taken.end())
      throw ConfigError(shown + ": another output goes there; give each its own name");
    taken.push_back(path);
    if (std::ranges::any_of(inputs, [&](const fs::path& input) { return !input.empty() && resolved(input) == path; }))
      throw ConfigError(shown + ": this is an input of the same command; choose another name");
    if (std::ranges::any_of(runs, [&](const fs::path& run) { return belongs_to_run(path, run); }))
      throw ConfigError(shown + ": this is a file of the run itself; choose another name");
    require_writable(output);
  }
}

}  // namespace nkat::validation
