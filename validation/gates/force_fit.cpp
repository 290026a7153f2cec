#include "validation/gates/force_fit.h"

#include <algorithm>
#include <cmath>

#include "validation/statistics/autocorrelation.h"

namespace nkat::validation {
namespace {

constexpr double kNormal95 = 1.96;
constexpr double kSmallestRise = 1.05;  // of v, for another cut
constexpr int kMostRounds = 10;
constexpr double kMostCorrelation = 0.95;

std::vector<double> standardized_residuals(const ScaledForce& force, std::span<const ForcePiece> pieces) {
  std::vector<double> residuals(force.values.size());
  for (const ForcePiece& piece : pieces) {
    for (std::size_t i = piece.begin; i < piece.end; ++i)
      residuals[i] = (force.values[i] - piece.level) / force.scale[i];
  }
  return residuals;
}

double noise_factor(std::span<const double> residuals) {
  double squares = 0.0;
  for (const double residual : residuals) squares += residual * residual;
  const double correlation = std::clamp(lag_one_correlation(residuals), 0.0, kMostCorrelation);
  return squares / static_cast<double>(residuals.size()) * (1.0 + correlation) / (1.0 - correlation);
}

void refit(ForceFit& fit, const ScaledForce& force, const WeightedSeries& series) {
  fit.pieces = cut(series, fit.rule, fit.noise_factor);
  fit.residuals = standardized_residuals(force, fit.pieces);
}

}  // namespace

std::vector<ForcePiece> cut(const WeightedSeries& series, const PartitionRule& rule, double noise_factor) {
  const std::vector<std::size_t> starts = partition(series, rule);
  std::vector<ForcePiece> pieces(starts.size());
  for (std::size_t k = 0; k < starts.size(); ++k) {
    const std::size_t end = k + 1 < starts.size() ? starts[k + 1] : series.size();
    const double weight = series.weight(starts[k], end);
    pieces[k] = {starts[k], end, series.mean(starts[k], end), kNormal95 * std::sqrt(noise_factor / weight)};
  }
  return pieces;
}

ForceFit fit_force(const ScaledForce& force, std::size_t layers) {
  const std::size_t n = force.values.size();
  const WeightedSeries series(force.values, force.scale);
  const double penalty = 3.0 * std::log(static_cast<double>(n * layers));
  ForceFit fit;
  fit.rule = {.penalty = penalty, .shortest_piece = std::max<std::size_t>(10, n / 100)};
  refit(fit, force, series);
  double rising = noise_factor(fit.residuals);
  for (int round = 0; round < kMostRounds && rising > kSmallestRise * fit.noise_factor; ++round) {
    fit.noise_factor = rising;
    fit.rule.penalty = penalty * rising;
    refit(fit, force, series);
    rising = noise_factor(fit.residuals);
  }
  return fit;
}

}  // namespace nkat::validation
