#include "validation/report/eval_format.h"

#include <fmt/format.h>

#include "data/datasets/record.h"

namespace nkat::validation {

std::string interval_text(const std::optional<Interval>& interval, std::string_view format) {
  if (!interval) return "";
  return fmt::format(" [{}, {}]", fmt::format(fmt::runtime(format), interval->low),
                     fmt::format(fmt::runtime(format), interval->high));
}

std::string estimate_text(const Estimate& estimate, std::string_view format) {
  return fmt::format(fmt::runtime(format), estimate.value) + interval_text(estimate.interval, format);
}

std::string estimate_text(const std::optional<Estimate>& estimate, std::string_view format) {
  return estimate ? estimate_text(*estimate, format) : "-";
}

std::string accuracy_text(const Accuracy& accuracy) {
  const Interval percent = {100 * accuracy.interval.low, 100 * accuracy.interval.high};
  return fmt::format("{:.1f} % ({} of {}){}", 100 * accuracy.value(), accuracy.right, accuracy.questions,
                     interval_text(percent, "{:.1f}"));
}

std::string accuracy_text(const std::optional<Accuracy>& accuracy) { return accuracy ? accuracy_text(*accuracy) : "-"; }

std::string p_text(const std::optional<double>& p) { return p ? fmt::format("{:.2g}", *p) : "-"; }

std::string group_text(const std::string& group) { return group.empty() ? "other" : group; }

std::vector<std::string> confusion_columns() {
  std::vector<std::string> columns;
  for (const std::string_view label : data::kFourClasses) columns.emplace_back(label);
  columns.emplace_back("no label");
  return columns;
}

std::string unparsed_text(std::int64_t unparsed, std::int64_t unmarked_right) {
  return fmt::format("answers without a number in the form asked for: {} ({} of them end in the right one)", unparsed,
                     unmarked_right);
}

}  // namespace nkat::validation
