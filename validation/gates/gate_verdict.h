// The verdict about one gate, and the results of a run's gate analysis. Steps are the `step` numbers of the metrics;
// forces are -dL/dsigma in nats per target token, with sigma = sigmoid(alpha).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "validation/gates/force_fit.h"
#include "validation/statistics/interval.h"

namespace nkat::validation {

enum class Verdict { kClosed, kDrift, kTransition, kInProgress, kUnresolved };
inline constexpr std::array kVerdicts = {Verdict::kTransition, Verdict::kInProgress, Verdict::kDrift, Verdict::kClosed,
                                         Verdict::kUnresolved};
const char* verdict_name(Verdict verdict);  // "in progress"

enum class RiseShape { kAbrupt, kGradual };

// A segment of constant force, in steps.
struct ForceLevel {
  std::int64_t from = 0;  // first and last step, both inclusive
  std::int64_t to = 0;
  double force = 0.0;
  Interval interval = {};
};

struct GateFinding {
  std::int64_t layer = -1;  // decoder layer; -1: the sum over layers
  Verdict verdict = Verdict::kClosed;
  std::optional<bool> specific = std::nullopt;  // known if an identity control is compared
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
  double noise_factor = 1.0;       // v of the final fit, at least 1
  double lag_one_correlation = 0;  // about the running median; above 0.7: unresolved
};

inline constexpr std::array kCrossingLevels = {0.05, 0.1, 0.5};

// One run: the sum over layers, every layer, and the order parameter m(t), the mean gate.
struct GateResults {
  GateFinding sum = {};
  std::vector<GateFinding> layers = {};
  std::vector<std::int64_t> steps = {};      // of all lines
  std::vector<double> order_parameter = {};  // m(t), by line
  std::vector<double> susceptibility = {};   // chi(t) = m(t+1) - m(t), one shorter
  // First step at which m passes each level.
  std::array<std::optional<std::int64_t>, kCrossingLevels.size()> crossings = {};
  std::optional<std::int64_t> max_susceptibility_step = {};  // absent if m never grows
  // Sum of the alpha learning rates of all lines, a bound of alpha's displacement. Unknown without them, 0 for frozen
  // gates.
  std::optional<double> alpha_reach = std::nullopt;
  std::optional<bool> finished = std::nullopt;  // unknown without the run's settings

  std::int64_t count(Verdict verdict) const;  // layers with it
};

inline constexpr double kOpening = 0.1;  // of the gate above its first value

// Summary of a gate's values over all lines; those that aren't finite are ignored.
struct GateCourse {
  std::optional<std::size_t> opened = std::nullopt;  // first line with the gate at least kOpening above its first value
  double first = 0.0;
  double max = 0.0;
  double last = 0.0;
  bool reclosed = false;  // opened, and the last value is less than kOpening above the first
};
GateCourse follow_gate(std::span<const double> gate);

// The segments that begin before value `index`.
std::span<const ForceSegment> segments_before(std::span<const ForceSegment> segments, std::size_t index);

// The largest rise of the level from a segment to a later one.
struct Rise {
  std::size_t segment = 0;  // that begins with the rise's largest single change; the earliest of equal ones
  RiseShape shape = RiseShape::kGradual;
};
// segments: those that begin no later than the gate opened. Only the largest rise is considered; it counts if it is at
// least minimum_rise times the largest |level| of these segments and the interval of its upper level lies above 0.
std::optional<Rise> find_rise(std::span<const ForceSegment> segments, double minimum_rise);

// The first segment whose interval lies above 0, if an earlier one's lies below.
std::optional<std::size_t> find_sign_change(std::span<const ForceSegment> segments);

// For a force whose noise could be resolved.
Verdict judge(bool opened, bool rise);

}  // namespace nkat::validation
