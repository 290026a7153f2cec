#include "validation/run/saved_series.h"

#include <cmath>
#include <cstring>

#include "core/error.h"
#include "core/message.h"
#include "data/formats/safetensors.h"
#include "data/run/checkpoint_files.h"

namespace nkat::validation {
namespace {

using data::StepMetrics;

constexpr std::uint64_t kLargestFile = std::uint64_t{4} << 30;
constexpr std::size_t kLongestLine = std::size_t{1} << 20;  // 512 layers take 25 KiB

// Rows [first, steps) of a float32 table (steps, layers).
std::vector<float> read_rows(const data::SafetensorsFile& file, const char* name,
                             const std::vector<std::int64_t>& shape, std::int64_t first) {
  const data::TensorInfo* info = file.find(name);
  if (info == nullptr || info->dtype != data::DType::kF32 || info->shape != shape) {
    throw FormatError(fmt::format("{}: tensor '{}': {}", file.path().string(), name,
                                  expected(fmt::format("F32 [{}]", fmt::join(shape, ", ")),
                                           info == nullptr ? "none"
                                                           : fmt::format("{} [{}]", data::dtype_name(info->dtype),
                                                                         fmt::join(info->shape, ", ")))));
  }
  std::vector<float> values(static_cast<std::size_t>((shape[0] - first) * shape[1]));
  const auto bytes = file.bytes(*info).last(values.size() * sizeof(float));
  if (!values.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

bool same(float saved, double written) {
  const auto rounded = static_cast<float>(written);
  return saved == rounded || (std::isnan(saved) && std::isnan(rounded));
}

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

SavedSeries read_saved_series(const fs::path& checkpoint, std::int64_t step, std::int64_t layers, Rows rows) {
  const data::SafetensorsFile file(checkpoint / data::kStateTensors);
  const std::int64_t first = rows == Rows::kAll ? 0 : std::max<std::int64_t>(step - 1, 0);
  SavedSeries series{.first_step = first + 1,
                     .layers = layers,
                     .alpha = read_rows(file, data::kAlphaSeries, {step, layers}, first),
                     .gate_force = read_rows(file, data::kGateForceSeries, {step, layers}, first)};
  if (!std::all_of(series.alpha.begin(), series.alpha.end(), [](float value) { return std::isfinite(value); }))
    throw FormatError(
        fmt::format("{}: tensor '{}' holds a value that is no number", file.path().string(), data::kAlphaSeries));
  return series;
}

std::optional<StepMetrics> read_pending_metrics(const fs::path& checkpoint, std::int64_t step, std::int64_t layers) {
  const fs::path path = checkpoint / data::kStateJson;
  const data::SavedTrainerState state = data::read_saved_step(checkpoint);
  if (state.step != step) {
    throw FormatError(fmt::format("{}: {}; folder and content do not match", path.string(),
                                  expected(fmt::format("step {}", step), fmt::format("step {}", state.step))));
  }
  if (!state.pending_metrics) return std::nullopt;
  const StepMetrics& pending = *state.pending_metrics;
  const auto wanted = static_cast<std::size_t>(layers);
  if (pending.step != step || pending.alpha.size() != wanted || pending.gate_force.size() != wanted) {
    throw FormatError(fmt::format("{}: pending_metrics: {}", path.string(),
                                  expected(fmt::format("the line of step {} with {} layers", step, layers),
                                           fmt::format("step {}", pending.step))));
  }
  return pending;
}

void require_agreement(const SavedSeries& saved, const fs::path& checkpoint, std::span<const StepMetrics> metrics,
                       const fs::path& metrics_file, std::int64_t first_layer) {
  const std::int64_t last = saved.first_step + saved.rows() - 1;
  if (saved.rows() > 0 && static_cast<std::int64_t>(metrics.size()) < last) {
    throw FormatError(
        fmt::format("{}: it holds {} steps, {} only {} whole lines; they are not of one state of a run: restore the "
                    "one that was changed",
                    checkpoint.string(), last, metrics_file.string(), metrics.size()));
  }
  const auto compare = [&](const char* what, const std::vector<float>& table, std::int64_t row,
                           const std::vector<double>& written) {
    for (std::size_t column = 0; column < written.size(); ++column) {
      const float value = table[static_cast<std::size_t>(row * saved.layers) + column];
      if (same(value, written[column])) continue;
      throw FormatError(fmt::format(
          "{}: step {}, layer {}: {} is {} here and {} in {}; they are not of one run: restore the one that was "
          "changed",
          checkpoint.string(), saved.first_step + row, first_layer + static_cast<std::int64_t>(column), what, value,
          static_cast<float>(written[column]), metrics_file.string()));
    }
  };
  for (std::int64_t row = 0; row < saved.rows(); ++row) {
    const StepMetrics& line = metrics[static_cast<std::size_t>(saved.first_step + row - 1)];
    compare("alpha", saved.alpha, row, line.alpha);
    compare("gate_force", saved.gate_force, row, line.gate_force);
  }
}

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
