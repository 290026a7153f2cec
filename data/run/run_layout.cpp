#include "data/run/run_layout.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace nkat::data {
namespace {

constexpr std::string_view kStepPrefix = "step-";

}  // namespace

std::string step_folder_name(std::int64_t step) { return fmt::format("{}{:06}", kStepPrefix, step); }

std::optional<std::int64_t> step_of_folder(std::string_view name) {
  if (!name.starts_with(kStepPrefix)) return std::nullopt;
  std::int64_t step = 0;
  const char* end = name.data() + name.size();
  const auto [stop, error] = std::from_chars(name.data() + kStepPrefix.size(), end, step);
  if (error != std::errc() || stop != end || step < 0 || step_folder_name(step) != name) return std::nullopt;
  return step;
}

fs::path checkpoint_path(const fs::path& checkpoints, std::int64_t step) {
  return checkpoints / step_folder_name(step);
}

std::vector<std::int64_t> saved_steps(const fs::path& checkpoints) {
  std::vector<std::int64_t> steps;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(checkpoints, ignored)) {
    if (const auto step = step_of_folder(entry.path().filename().string())) steps.push_back(*step);
  }
  std::ranges::sort(steps);
  return steps;
}

}  // namespace nkat::data
