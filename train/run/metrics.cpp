#include "train/run/metrics.h"

#include "core/error.h"
#include "core/message.h"

namespace nkat::train {
namespace {

constexpr std::uint64_t kLargestLog = 4ULL << 30;

// Reads the lines 1..last_step into `history`; returns their bytes.
std::uint64_t read_lines(const fs::path& path, std::int64_t last_step, std::int64_t layers,
                         std::vector<StepMetrics>& history) {
  if (last_step == 0) return 0;
  if (!fs::exists(path)) {
    throw DataError(fmt::format("{}: {}", path.string(),
                                expected(fmt::format("metrics up to step {}, where the checkpoint is", last_step),
                                         "no file", "restore it or use another --output-dir")));
  }
  const std::string text = read_file(path, kLargestLog);
  std::size_t begin = 0;
  while (static_cast<std::int64_t>(history.size()) < last_step) {
    const std::size_t end = text.find('\n', begin);
    const std::int64_t step = static_cast<std::int64_t>(history.size()) + 1;
    const std::string source = fmt::format("{}:{}", path.string(), step);
    if (end == std::string::npos) {
      throw DataError(
          fmt::format("{}: the line of step {} is missing, the checkpoint is at step {}; restore the file or use "
                      "another --output-dir",
                      source, step, last_step));
    }
    history.push_back(data::parse_metrics_line(text.substr(begin, end - begin), source));
    if (history.back().step != step) {
      throw DataError(
          fmt::format("{}: {}", source, expected(fmt::format("step {}", step), std::to_string(history.back().step))));
    }
    const auto wanted = static_cast<std::size_t>(layers);
    if (history.back().alpha.size() != wanted || history.back().gate_force.size() != wanted) {
      throw DataError(
          fmt::format("{}: {}", source,
                      expected(fmt::format("alpha and gate_force of {} layers", layers),
                               fmt::format("{} and {}", history.back().alpha.size(), history.back().gate_force.size()),
                               "restore the file or use another --output-dir")));
    }
    begin = end + 1;
  }
  return begin;
}

}  // namespace

MetricsLog::MetricsLog(const fs::path& path, std::int64_t last_step, std::int64_t layers)
    : file_(path, read_lines(path, last_step, layers, history_)) {}

void MetricsLog::append(const StepMetrics& metrics) {
  file_.append(to_json_line(metrics));
  history_.push_back(metrics);
}

}  // namespace nkat::train
