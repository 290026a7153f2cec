#include "export/verify/adapter_retention.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include <fmt/format.h>

#include "core/error.h"
#include "core/message.h"
#include "core/parallel.h"
#include "core/signals.h"
#include "data/quantize/ggml_type.h"

namespace nkat::exporting {
namespace {

constexpr double kWeakOffset = 0.1;
constexpr double kWeakNoise = 1;

struct Sums {
  double base = 0;      // <W, W>
  double merged = 0;    // <W', W'>
  double change = 0;    // <d, d>
  double retained = 0;  // <F - W, d>
  double error = 0;     // <F - W', F - W'>

  void add(const Sums& other) {
    base += other.base;
    merged += other.merged;
    change += other.change;
    retained += other.retained;
    error += other.error;
  }
};

struct Piece {
  std::span<const float> base, merged, written;
};

Sums sums_of(const Piece& piece, std::size_t begin, std::size_t end) {
  Sums sums;
  for (std::size_t i = begin; i < end; ++i) {
    const double w = piece.base[i], m = piece.merged[i], f = piece.written[i];
    const double d = m - w;
    sums.base += w * w;
    sums.merged += m * m;
    sums.change += d * d;
    sums.retained += (f - w) * d;
    sums.error += (f - m) * (f - m);
  }
  return sums;
}

// In slices of fixed size, added in order: the same bits for any number of threads.
Sums sums_of(const Piece& piece) {
  constexpr std::size_t kSlice = std::size_t{64} << 10;
  const std::size_t size = piece.base.size();
  std::vector<Sums> parts((size + kSlice - 1) / kSlice);
  parallel_for(parts.size(),
               [&](std::size_t i) { parts[i] = sums_of(piece, i * kSlice, std::min(size, (i + 1) * kSlice)); });
  Sums all;
  for (const Sums& part : parts) all.add(part);
  return all;
}

double ratio(double numerator, double denominator) { return denominator > 0 ? numerator / denominator : 0; }

constexpr const char* kEveryType = "all";

std::map<std::string, double> parse_words(const char* option, const std::vector<std::string>& words) {
  std::map<std::string, double> values;
  for (const std::string& word : words) {
    const std::size_t sign = word.find('=');
    const std::string name = word.substr(0, sign);
    const auto type = gguf::parse_ggml_type(name);
    double value = 0;
    const char* begin = word.data() + (sign == std::string::npos ? word.size() : sign + 1);
    const char* end = word.data() + word.size();
    const auto [stop, error] = std::from_chars(begin, end, value);
    if ((!type && name != kEveryType) || error != std::errc() || stop != end || !std::isfinite(value)) {
      throw ConfigError(fmt::format(
          "--{}: {}", option,
          expected("TYPE=NUMBER, as q4_K=0.3 or all=0.3", "'" + word + "'", "types are those that the report names")));
    }
    values[type ? gguf::traits(*type).name : kEveryType] = value;
  }
  return values;
}

double value_of(const std::map<std::string, double>& values, const std::string& type, double otherwise) {
  for (const std::string& name : {type, std::string(kEveryType)}) {
    if (const auto found = values.find(name); found != values.end()) return found->second;
  }
  return otherwise;
}

// Two digits, rounded to the side that accepts the value.
double rounded(double value, double (*direction)(double)) {
  if (value == 0) return 0;
  const double unit = std::pow(10.0, std::floor(std::log10(std::abs(value))) - 1);
  return direction(value / unit) * unit;
}

std::string words(const char* option, const std::map<std::string, double>& values) {
  std::string text;
  for (const auto& [type, value] : values) text += fmt::format(" {}={:.6g}", type, value);
  return text.empty() ? "" : fmt::format(" --{}{}", option, text);
}

}  // namespace

const char* status_name(RetentionStatus status) {
  switch (status) {
    case RetentionStatus::kUnchanged: return "unchanged";
    case RetentionStatus::kKept: return "kept";
    case RetentionStatus::kWeak: return "weak";
    case RetentionStatus::kLost: return "lost";
    case RetentionStatus::kNotJudged: return "not judged";
  }
  return "";
}

RetentionStatus TensorRetention::status() const {
  if (change == 0) return RetentionStatus::kUnchanged;
  if (retained < limit.minimum_retained || noise > limit.maximum_noise) return RetentionStatus::kLost;
  if (!judged) return RetentionStatus::kNotJudged;
  return std::abs(retained - 1) > kWeakOffset || noise > kWeakNoise ? RetentionStatus::kWeak : RetentionStatus::kKept;
}

TensorRetention measure_retention(const MergedWeights& weights, const std::string& tensor,
                                  const models::WeightSource& written, const std::string& written_name) {
  const models::MatrixShape shape = weights.shape(tensor);
  const std::size_t step = rows_per_piece(shape);
  const bool changed = weights.is_changed(tensor);
  std::vector<float> merged(step * shape.columns), base(changed ? merged.size() : 0), found(merged.size());
  Sums sums;
  for (std::size_t row = 0; row < shape.rows; row += step) {
    throw_if_stop_requested();
    const std::size_t size = std::min(step, shape.rows - row) * shape.columns;
    const std::span m = std::span(merged).first(size), f = std::span(found).first(size);
    const std::span w = changed ? std::span(base).first(size) : m;
    if (changed) weights.base().read(tensor, row, w);
    weights.read(tensor, row, m);
    written.read(written_name, row, f);
    sums.add(sums_of({w, m, f}));
  }
  weights.release(tensor);
  written.release(written_name);
  return {.change = std::sqrt(ratio(sums.change, sums.base)),
          .retained = ratio(sums.retained, sums.change),
          .noise = std::sqrt(ratio(sums.error, sums.change)),
          .error = std::sqrt(ratio(sums.error, sums.merged)),
          .distance = std::sqrt(sums.error),
          .size = std::sqrt(sums.merged)};
}

RetentionLimits::RetentionLimits(const std::vector<std::string>& minimum_retained,
                                 const std::vector<std::string>& maximum_noise)
    : minimum_retained_(parse_words("min-retention", minimum_retained)),
      maximum_noise_(parse_words("max-noise", maximum_noise)) {}

RetentionLimit RetentionLimits::of(const std::string& type) const {
  const RetentionLimit usual;
  return {.minimum_retained = value_of(minimum_retained_, type, usual.minimum_retained),
          .maximum_noise = value_of(maximum_noise_, type, usual.maximum_noise)};
}

std::string accepting_options(const std::vector<TensorRetention>& lost) {
  std::map<std::string, double> retained, noise;
  for (const TensorRetention& one : lost) {
    if (one.retained < one.limit.minimum_retained) {
      const auto [entry, is_new] = retained.emplace(one.type, one.retained);
      entry->second = std::min(entry->second, one.retained);
    }
    if (one.noise > one.limit.maximum_noise) {
      const auto [entry, is_new] = noise.emplace(one.type, one.noise);
      entry->second = std::max(entry->second, one.noise);
    }
  }
  for (auto& [type, value] : retained) value = rounded(value, [](double x) { return std::floor(x); });
  for (auto& [type, value] : noise) value = rounded(value, [](double x) { return std::ceil(x); });
  const std::string text = words("min-retention", retained) + words("max-noise", noise);
  return text.empty() ? text : text.substr(1);
}

}  // namespace nkat::exporting
