#include "validation/gates/noise_scale.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "core/error.h"
#include "validation/statistics/autocorrelation.h"
#include "validation/statistics/running_median.h"

namespace nkat::validation {
namespace {

constexpr double kSigmaOfMedianDifference = 1.4826 / std::numbers::sqrt2;  // for normal noise
constexpr double kLeastScale = 0.05;                                       // of the whole series' scale
constexpr double kClip = 3.0;

double whole_scale(const std::vector<double>& differences) {
  const double middle = median(differences);
  if (middle > 0.0) return kSigmaOfMedianDifference * middle;
  const double mean =
      std::accumulate(differences.begin(), differences.end(), 0.0) / static_cast<double>(differences.size());
  return mean > 0.0 ? mean : 1.0;
}

}  // namespace

ScaledForce scale_noise(std::span<const double> force) {
  const std::size_t n = force.size();
  NKAT_INVARIANT(n >= 2);
  std::vector<double> differences(n - 1);
  for (std::size_t i = 0; i + 1 < n; ++i) differences[i] = std::abs(force[i + 1] - force[i]);

  const std::size_t reach = std::max<std::size_t>(25, n / 40);
  const std::vector<double> center = running_median(force, n, {reach, reach});
  const double least = kLeastScale * whole_scale(differences);
  ScaledForce scaled;
  scaled.scale = running_median(differences, n, {reach, reach - 1});
  scaled.values.resize(n);
  std::vector<double> residuals(n);
  for (std::size_t i = 0; i < n; ++i) {
    const double scale = std::max(least, kSigmaOfMedianDifference * scaled.scale[i]);
    const double residual = std::clamp(force[i] - center[i], -kClip * scale, kClip * scale);
    scaled.scale[i] = scale;
    scaled.values[i] = center[i] + residual;
    residuals[i] = residual / scale;
  }
  scaled.lag_one_correlation = lag_one_correlation(residuals);
  return scaled;
}

}  // namespace nkat::validation
