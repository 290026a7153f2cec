#include "validation/gates/gate_verdict.h"

#include <algorithm>
#include <cmath>

namespace nkat::validation {
namespace {

constexpr double kAbruptShare = 0.7;  // of the rise, in one change

}  // namespace

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

std::optional<Rise> find_rise(std::span<const ForcePiece> pieces, double minimum_rise) {
  double largest_level = 0.0;
  double largest_rise = 0.0;
  std::size_t lowest = 0;
  std::size_t from = 0;
  std::size_t to = 0;
  for (std::size_t k = 0; k < pieces.size(); ++k) {
    largest_level = std::max(largest_level, std::abs(pieces[k].level));
    if (pieces[k].level < pieces[lowest].level) lowest = k;
    const double rise = pieces[k].level - pieces[lowest].level;
    if (rise <= largest_rise) continue;
    largest_rise = rise;
    from = lowest;
    to = k;
  }
  if (from == to || largest_rise < minimum_rise * largest_level || !pieces[to].above_zero()) return std::nullopt;
  Rise rise;
  double largest_change = 0.0;
  for (std::size_t k = from + 1; k <= to; ++k) {
    const double change = pieces[k].level - pieces[k - 1].level;
    if (change <= largest_change) continue;
    largest_change = change;
    rise.piece = k;
  }
  rise.shape = largest_change >= kAbruptShare * largest_rise ? RiseShape::kAbrupt : RiseShape::kGradual;
  return rise;
}

std::optional<std::size_t> find_sign_change(std::span<const ForcePiece> pieces) {
  const auto above = std::ranges::find_if(pieces, &ForcePiece::above_zero);
  if (above == pieces.end() ||
      std::none_of(pieces.begin(), above, [](const ForcePiece& piece) { return piece.below_zero(); }))
    return std::nullopt;
  return static_cast<std::size_t>(above - pieces.begin());
}

Verdict judge(bool opened, bool rise) {
  if (opened) return rise ? Verdict::kTransition : Verdict::kDrift;
  return rise ? Verdict::kInProgress : Verdict::kClosed;
}

}  // namespace nkat::validation
