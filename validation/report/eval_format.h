// The figures of a gain report as text, the same on the screen and in the report: values with their 95 % interval in
// brackets, as far as there is one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "validation/report/eval_results.h"

namespace nkat::validation {

// Of one number. Nats: losses; changes carry their sign; the divergence may be small.
inline constexpr std::string_view kLossFormat = "{:.4f}";
inline constexpr std::string_view kPerplexityFormat = "{:.3f}";
inline constexpr std::string_view kChangeFormat = "{:+.4f}";
inline constexpr std::string_view kDivergenceFormat = "{:.4g}";

std::string interval_text(const std::optional<Interval>& interval, std::string_view format);  // " [1.5, 2.5]" or ""
std::string estimate_text(const Estimate& estimate, std::string_view format);                 // "2.0 [1.5, 2.5]"
std::string estimate_text(const std::optional<Estimate>& estimate, std::string_view format);  // "-" without one

std::string accuracy_text(const Accuracy& accuracy);                 // "80.0 % (8 of 10) [50.0, 90.0]"
std::string accuracy_text(const std::optional<Accuracy>& accuracy);  // "-" without one
std::string p_text(const std::optional<double>& p);                  // "0.38", "-" without one
std::string group_text(const std::string& group);                    // "en"; "other" for ""

// Labels, then the column for answers without one; rows by true label, counts by the label given.
std::vector<std::string> confusion_columns();
// How many answers have no number in the form asked for, and how many of these end in the right one.
std::string unparsed_text(std::int64_t unparsed, std::int64_t unmarked_right);

}  // namespace nkat::validation
