#include "validation/run/metrics_file.h"

#include <cmath>

#include "core/error.h"
#include "core/message.h"

namespace nkat::validation {
namespace {

using data::StepMetrics;
constexpr std::uint64_t kLargestFile = std::uint64_t{4} << 30;
constexpr std::size_t kLongestLine = std::size_t{1} << 20;  // 512 layers take 25 KiB

bool all_finite(const std::vector<double>& values) {
  return std::all_of(values.begin(), values.end(), [](double value) { return std::isfinite(value); });
}

// line against the lines before it.
void check_line(const StepMetrics& line, const std::vector<StepMetrics>& before, const std::string& source) {
  const auto step = static_cast<std::int64_t>(before.size()) + 1;
  if (line.step != step) {
    throw FormatError(fmt::format("{}: {}; a line is missing or duplicated", source,
                                  expected(fmt::format("step {}", step), fmt::format("step {}", line.step))));
  }
  const std::size_t layers = before.empty() ? line.alpha.size() : before.front().alpha.size();
  if (layers == 0 || line.alpha.size() != layers || line.gate_force.size() != layers) {
    const std::string wanted =
        fmt::format("alpha and gate_force of {} layers", layers == 0 ? "one or more" : std::to_string(layers));
    const std::string found = fmt::format("{} and {}", line.alpha.size(), line.gate_force.size());
    throw FormatError(fmt::format("{}: {}", source, expected(wanted, found)));
  }
  if (!all_finite(line.alpha)) throw FormatError(fmt::format("{}: alpha contains NaN or infinity", source));
  if (!line.skipped && !all_finite(line.gate_force)) {
    throw FormatError(
        fmt::format("{}: gate_force contains NaN or infinity, but the step is not marked as skipped", source));
  }
}

}  // namespace

std::vector<StepMetrics> read_metrics_file(const fs::path& path) {
  const std::string text = read_file(path, kLargestFile);
  std::vector<StepMetrics> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::string source = fmt::format("{}:{}", path.string(), lines.size() + 1);
    const std::size_t end = text.find('\n', begin);
    if (std::min(end, text.size()) - begin > kLongestLine) {
      throw FormatError(fmt::format("{}: {}; this is not a run's metrics.jsonl", source,
                                    expected(fmt::format("a line of at most {} bytes", kLongestLine), "a longer one")));
    }
    if (end == std::string::npos) break;
    StepMetrics line = data::parse_metrics_line(text.substr(begin, end - begin), source);
    check_line(line, lines, source);
    lines.push_back(std::move(line));
    begin = end + 1;
  }
  return lines;
}

}  // namespace nkat::validation
