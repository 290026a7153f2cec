#include "train/run/metrics.h"

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/json.h"
#include "core/message.h"
#include "data/run/validation_trend.h"

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

RunSummary summarize(const std::vector<StepMetrics>& history, const models::Adapter& adapter, double max_grad_norm,
                     std::int64_t validation_since) {
  RunSummary summary;
  summary.steps = static_cast<std::int64_t>(history.size());
  for (const StepMetrics& line : history) {
    summary.seconds += line.step_seconds;
    summary.tokens += line.tokens;
    summary.peak_memory_bytes = std::max(summary.peak_memory_bytes, line.memory_bytes);
    if (max_grad_norm > 0.0 && line.grad_norm > max_grad_norm) ++summary.clipped_steps;
    if (line.skipped) ++summary.skipped_steps;
    if (line.validation_loss && line.step > validation_since && !summary.validation_loss_first)
      summary.validation_loss_first = line.validation_loss;
  }
  if (!history.empty()) {
    summary.loss_first = history.front().loss;
    summary.loss_last = history.back().loss;
  }
  if (const auto best = data::validation_trend(history, validation_since).best) {
    summary.validation_loss_best = best->loss;
    summary.best_step = best->step;
  }
  const std::vector<double> gates = adapter.gates();
  summary.open_gates = std::count_if(gates.begin(), gates.end(), [](double gate) { return gate > 0.5; });
  return summary;
}

std::string to_json_text(const RunSummary& s) {
  using Json = nlohmann::ordered_json;
  const Json json = {
      {"steps", s.steps},
      {"stopped", s.stopped},
      {"loss_first", finite_or_null(s.loss_first)},
      {"loss_last", finite_or_null(s.loss_last)},
      {"validation_loss_first", s.validation_loss_first ? finite_or_null(*s.validation_loss_first) : Json(nullptr)},
      {"validation_loss_best", s.validation_loss_best ? Json(*s.validation_loss_best) : Json(nullptr)},
      {"best_step", s.best_step ? Json(*s.best_step) : Json(nullptr)},
      {"seconds", s.seconds},
      {"tokens", s.tokens},
      {"peak_memory_bytes", s.peak_memory_bytes},
      {"open_gates", s.open_gates},
      {"clipped_steps", s.clipped_steps},
      {"skipped_steps", s.skipped_steps}};
  return json.dump(2) + "\n";
}

}  // namespace nkat::train
