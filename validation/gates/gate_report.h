// What the gate analysis found (mathematics.md 6). Steps are the `step` numbers of the metrics; forces are in nats per
// target token and unit of the gate.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "validation/statistics/interval.h"

namespace nkat::validation {

enum class Verdict { kClosed, kDrift, kTransition, kInProgress, kUnresolved };
inline constexpr std::array kVerdicts = {Verdict::kTransition, Verdict::kInProgress, Verdict::kDrift, Verdict::kClosed,
                                         Verdict::kUnresolved};
const char* verdict_name(Verdict verdict);  // "in progress"

enum class RiseShape { kAbrupt, kGradual };

// A piece of the series with a constant force.
struct ForceLevel {
  std::int64_t from = 0;  // first and last step, both inclusive
  std::int64_t to = 0;
  double force = 0.0;
  Interval interval = {};
};

struct GateFinding {
  std::int64_t layer = -1;  // number of the decoder layer; -1: the sum over layers
  Verdict verdict = Verdict::kClosed;
  std::optional<bool> specific = std::nullopt;  // known when an identity control is compared
  bool reclosed = false;
  std::vector<ForceLevel> levels = {};
  // Of the rise; absent without one.
  std::optional<RiseShape> shape = std::nullopt;
  std::optional<std::int64_t> tau = std::nullopt;
  std::optional<Interval> tau_interval = std::nullopt;
  double replicates_without_rise = 0.0;  // share of the bootstrap's; above 0.2 the interval is absent
  std::optional<std::int64_t> sign_change = std::nullopt;
  std::optional<Interval> sign_change_interval = std::nullopt;
  std::optional<std::int64_t> opened_at = std::nullopt;
  double gate_first = 0.0;  // sigmoid(alpha), or its mean over layers
  double gate_max = 0.0;
  double gate_last = 0.0;
  std::optional<double> smallest_step_seen = std::nullopt;  // with drift and closed
  std::int64_t usable_steps = 0;
  double noise_factor = 1.0;       // v of the final cut, at least 1
  double lag_one_correlation = 0;  // about the running median; above 0.7: unresolved
};

inline constexpr std::array kCrossingLevels = {0.05, 0.1, 0.5};

struct GateReport {
  GateFinding sum = {};
  std::vector<GateFinding> layers = {};
  std::vector<std::int64_t> steps = {};      // of all lines
  std::vector<double> order_parameter = {};  // m(t), by line
  std::vector<double> susceptibility = {};   // chi(t) = m(t+1) - m(t), one shorter
  std::array<std::optional<std::int64_t>, kCrossingLevels.size()> crossings =
      {};  // first step at which m passes the level
  std::optional<std::int64_t> max_susceptibility_step = {};
  double alpha_reach = 0.0;  // sum of the alpha rates of all lines: how far alpha could have moved
  bool finished = true;

  std::int64_t count(Verdict verdict) const;  // layers with it
};

}  // namespace nkat::validation
