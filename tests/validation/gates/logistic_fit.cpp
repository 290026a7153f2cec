#include "tests/validation/gates/logistic_fit.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

namespace nkat::validation {
namespace {

constexpr double kPoints = 200.0;  // of the series that are looked at
constexpr double kLeastResidual = 1e-12;

// Residual sum of squares of y on a constant and x.
double residual_squares(std::span<const double> x, std::span<const double> y) {
  const auto n = static_cast<double>(x.size());
  double sum_x = 0.0, sum_y = 0.0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    sum_x += x[i];
    sum_y += y[i];
  }
  double xx = 0.0, xy = 0.0, yy = 0.0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double dx = x[i] - sum_x / n;
    const double dy = y[i] - sum_y / n;
    xx += dx * dx;
    xy += dx * dy;
    yy += dy * dy;
  }
  return std::max(kLeastResidual, xx > 0.0 ? yy - xy * xy / xx : yy);
}

}  // namespace

double logistic_over_line(std::span<const double> gate) {
  std::vector<double> y;
  std::vector<double> x;
  const double stride = std::max(1.0, static_cast<double>(gate.size()) / kPoints);
  for (double t = 0.0; t < static_cast<double>(gate.size()); t += stride) {
    y.push_back(gate[static_cast<std::size_t>(t)]);
    x.push_back(t / static_cast<double>(gate.size()));
  }
  const double line = residual_squares(x, y);
  double logistic = std::numeric_limits<double>::infinity();
  std::vector<double> curve(x.size());
  for (double middle = -0.5; middle <= 1.5; middle += 0.05) {
    for (double width = 0.01; width <= 0.5; width *= 1.3) {
      for (std::size_t i = 0; i < x.size(); ++i) curve[i] = 1.0 / (1.0 + std::exp(-(x[i] - middle) / width));
      logistic = std::min(logistic, residual_squares(curve, y));
    }
  }
  const auto n = static_cast<double>(x.size());
  return n * std::log(line / logistic) - 2.0 * std::log(n);
}

}  // namespace nkat::validation
