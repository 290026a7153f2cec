// Medians over a sliding window.
// Promise: linear in the values times the width of the window, with a constant small enough for 50,000 values and a
// window of 2,500 (the window is kept sorted; one value enters and one leaves).
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace nkat::validation {

// A window that reaches from `before` values before a position to `after` values after it, both inclusive, cut off at
// the ends of the series.
struct MedianWindow {
  std::size_t before = 0;
  std::size_t after = 0;
};

// Element i is the median of values[i - before] ... values[i + after], for i < positions; the mean of the two middle
// values where their number is even. No window may be empty; no value NaN.
std::vector<double> running_median(std::span<const double> values, std::size_t positions, MedianWindow window);

double median(std::vector<double> values);  // of at least one value

}  // namespace nkat::validation
