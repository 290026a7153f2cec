#include "validation/gates/gate_verdict.h"

#include <algorithm>
#include <cmath>

namespace nkat::validation {
namespace {

constexpr double kAbruptShare = 0.7;  // of the rise, in one change

}  // namespace

const char* verdict_name(Verdict verdict) {
  switch (verdict) {
    case Verdict::kClosed: return "closed";
    case Verdict::kDrift: return "drift";
    case Verdict::kTransition: return "transition";
    case Verdict::kInProgress: return "in progress";
    case Verdict::kUnresolved: return "unresolved";
  }
  return "";
}

std::int64_t GateResults::count(Verdict verdict) const {
  return std::ranges::count(layers, verdict, &GateFinding::verdict);
}

GateCourse follow_gate(std::span<const double> gate) {
  GateCourse course;
  bool found = false;
  for (std::size_t line = 0; line < gate.size(); ++line) {
    if (!std::isfinite(gate[line])) continue;
    if (!found) course.first = course.max = gate[line];
    found = true;
    course.max = std::max(course.max, gate[line]);
    course.last = gate[line];
    if (!course.opened && gate[line] >= course.first + kOpening) course.opened = line;
  }
  course.reclosed = course.opened && course.last < course.first + kOpening;
  return course;
}

std::span<const ForceSegment> segments_before(std::span<const ForceSegment> segments, std::size_t index) {
  std::size_t count = 0;
  while (count < segments.size() && segments[count].begin < index) ++count;
  return segments.first(count);
}

std::optional<Rise> find_rise(std::span<const ForceSegment> segments, double minimum_rise) {
  double largest_level = 0.0;
  double largest_rise = 0.0;
  std::size_t lowest = 0;
  std::size_t from = 0;
  std::size_t to = 0;
  for (std::size_t k = 0; k < segments.size(); ++k) {
    largest_level = std::max(largest_level, std::abs(segments[k].level));
    if (segments[k].level < segments[lowest].level) lowest = k;
    const double rise = segments[k].level - segments[lowest].level;
    if (rise <= largest_rise) continue;
    largest_rise = rise;
    from = lowest;
    to = k;
  }
  if (from == to || largest_rise < minimum_rise * largest_level || !segments[to].above_zero()) return std::nullopt;
  Rise rise;
  double largest_change = 0.0;
  for (std::size_t k = from + 1; k <= to; ++k) {
    const double change = segments[k].level - segments[k - 1].level;
    if (change <= largest_change) continue;
    largest_change = change;
    rise.segment = k;
  }
  rise.shape = largest_change >= kAbruptShare * largest_rise ? RiseShape::kAbrupt : RiseShape::kGradual;
  return rise;
}

std::optional<std::size_t> find_sign_change(std::span<const ForceSegment> segments) {
  const auto above = std::ranges::find_if(segments, &ForceSegment::above_zero);
  if (above == segments.end() ||
      std::none_of(segments.begin(), above, [](const ForceSegment& segment) { return segment.below_zero(); }))
    return std::nullopt;
  return static_cast<std::size_t>(above - segments.begin());
}

Verdict judge(bool opened, bool rise) {
  if (opened) return rise ? Verdict::kTransition : Verdict::kDrift;
  return rise ? Verdict::kInProgress : Verdict::kClosed;
}

}  // namespace nkat::validation
