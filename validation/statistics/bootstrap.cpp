#include "validation/statistics/bootstrap.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/error.h"
#include "core/random.h"

namespace nkat::validation {
namespace {

constexpr std::uint64_t kReplicates = 2000;
constexpr double kTail = 0.025;

double ratio(const SampleSum& total) { return total.sum / total.weight; }

// Linear between the two nearest of the sorted values.
double quantile(const std::vector<double>& sorted, double share) {
  const double place = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

double replicate(std::span<const SampleSum> samples, std::uint64_t index) {
  RandomStream stream(0, "bootstrap", index);
  SampleSum total;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const SampleSum& drawn = samples[stream.below(samples.size())];
    total.sum += drawn.sum;
    total.weight += drawn.weight;
  }
  return ratio(total);
}

}  // namespace

Estimate bootstrap_ratio(std::span<const SampleSum> samples) {
  SampleSum total;
  for (const SampleSum& sample : samples) {
    NKAT_INVARIANT(sample.weight > 0);
    total.sum += sample.sum;
    total.weight += sample.weight;
  }
  NKAT_INVARIANT(!samples.empty());
  if (samples.size() < 2) return {.value = ratio(total)};
  std::vector<double> ratios;
  for (std::uint64_t index = 0; index < kReplicates; ++index) ratios.push_back(replicate(samples, index));
  std::ranges::sort(ratios);
  return {.value = ratio(total), .interval = Interval{quantile(ratios, kTail), quantile(ratios, 1 - kTail)}};
}

Estimate exponential(const Estimate& estimate) {
  Estimate result{.value = std::exp(estimate.value)};
  if (estimate.interval) result.interval = {std::exp(estimate.interval->low), std::exp(estimate.interval->high)};
  return result;
}

}  // namespace nkat::validation
