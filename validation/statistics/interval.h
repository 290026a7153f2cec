// An interval with 95 % confidence, and a value with one.
#pragma once

#include <optional>

namespace nkat::validation {

struct Interval {
  double low = 0.0;
  double high = 0.0;
};

struct Estimate {
  double value = 0.0;
  std::optional<Interval> interval = std::nullopt;
};

}  // namespace nkat::validation
