#include "validation/statistics/linear_trend.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include <boost/math/distributions/students_t.hpp>

#include "core/error.h"

namespace nkat::validation {
namespace {

constexpr double kLargestCorrelation = 0.95;

double mean(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// v, at least 1.
double variance_factor(std::span<const double> residuals) {
  const auto count = static_cast<double>(residuals.size());
  const double found = lag_one_correlation(residuals);
  // Solves found = r - (2 + 4 r)/n for r.
  const double unbiased = (count * found + 2) / std::max(count - 4, count / 2);
  const double correlation = std::clamp(unbiased, 0.0, kLargestCorrelation);
  return (1 + correlation) / (1 - correlation);
}

}  // namespace

double lag_one_correlation(std::span<const double> residuals) {
  double products = 0.0;
  double squares = 0.0;
  for (std::size_t i = 0; i < residuals.size(); ++i) {
    squares += residuals[i] * residuals[i];
    if (i > 0) products += residuals[i] * residuals[i - 1];
  }
  return squares > 0.0 ? products / squares : 0.0;
}

double student_t_975(double degrees) { return boost::math::quantile(boost::math::students_t(degrees), 0.975); }

std::optional<Estimate> linear_trend(std::span<const double> x, std::span<const double> y) {
  NKAT_INVARIANT(x.size() == y.size());
  if (x.size() < 2) return std::nullopt;
  const double x_mean = mean(x), y_mean = mean(y);
  double xx = 0, xy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    xx += (x[i] - x_mean) * (x[i] - x_mean);
    xy += (x[i] - x_mean) * (y[i] - y_mean);
  }
  NKAT_INVARIANT(xx > 0);
  Estimate slope{.value = xy / xx};
  if (x.size() < 3) return slope;
  std::vector<double> residuals;
  double squares = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    residuals.push_back(y[i] - y_mean - slope.value * (x[i] - x_mean));
    squares += residuals.back() * residuals.back();
  }
  const auto count = static_cast<double>(x.size());
  const double factor = variance_factor(residuals);
  const double half_width =
      student_t_975(std::max(1.0, count / factor - 2)) * std::sqrt(factor * squares / (count - 2) / xx);
  slope.interval = Interval{slope.value - half_width, slope.value + half_width};
  return slope;
}

}  // namespace nkat::validation
