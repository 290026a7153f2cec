#include <charconv>
#include <cmath>

#include <fmt/format.h>

#include "core/error.h"
#include "core/message.h"
#include "data/quantize/ggml_type.h"
#include "export/verify/adapter_retention.h"

namespace nkat::exporting {
namespace {

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
          expected("TYPE=NUMBER, as q4_K=0.3 or all=0.3", fmt::format("'{}'", word), "the report names the types")));
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

// Two digits, rounded away from what must pass.
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

RetentionLimits::RetentionLimits(const std::vector<std::string>& min_retention,
                                 const std::vector<std::string>& max_noise)
    : minimum_survived_(parse_words("min-retention", min_retention)),
      maximum_noise_(parse_words("max-noise", max_noise)) {}

RetentionLimit RetentionLimits::of(const std::string& type) const {
  const RetentionLimit usual;
  return {.minimum_survived = value_of(minimum_survived_, type, usual.minimum_survived),
          .maximum_noise = value_of(maximum_noise_, type, usual.maximum_noise)};
}

std::string accepting_options(const std::vector<TensorRetention>& lost) {
  std::map<std::string, double> survived, noise;
  for (const TensorRetention& one : lost) {
    if (one.survived < one.limit.minimum_survived) {
      const auto [entry, is_new] = survived.emplace(one.type, one.survived);
      entry->second = std::min(entry->second, one.survived);
    }
    if (one.noise > one.limit.maximum_noise) {
      const auto [entry, is_new] = noise.emplace(one.type, one.noise);
      entry->second = std::max(entry->second, one.noise);
    }
  }
  for (auto& [type, value] : survived) value = rounded(value, [](double x) { return std::floor(x); });
  for (auto& [type, value] : noise) value = rounded(value, [](double x) { return std::ceil(x); });
  const std::string text = words("min-retention", survived) + words("max-noise", noise);
  return text.empty() ? text : text.substr(1);
}

}  // namespace nkat::exporting
