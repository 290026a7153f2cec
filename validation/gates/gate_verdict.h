// What pieces of constant force and the course of the gate say about a gate (mathematics.md 6).
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "validation/gates/force_fit.h"
#include "validation/gates/gate_report.h"

namespace nkat::validation {

inline constexpr double kOpening = 0.1;  // of the gate above its first value

// Gate values of all lines; what isn't finite is passed over.
struct GateCourse {
  std::optional<std::size_t> opened = std::nullopt;  // first line with the gate at least kOpening above its first value
  double first = 0.0;
  double max = 0.0;
  double last = 0.0;
  bool reclosed = false;  // opened, and the last value is less than kOpening above the first
};
GateCourse follow_gate(std::span<const double> gate);

// The largest rise of the level from a piece to a later one.
struct Rise {
  std::size_t piece = 0;  // that begins with its largest single change; the earliest of equal ones
  RiseShape shape = RiseShape::kGradual;
};
// Of the pieces given, which are those that begin no later than the opening: only the largest rise is looked at, and it
// counts if it is at least minimum_rise times the largest |level| of these pieces and its upper level's interval lies
// above 0.
std::optional<Rise> find_rise(std::span<const ForcePiece> pieces, double minimum_rise);

// The first piece whose interval lies above 0, if an earlier one's lies below.
std::optional<std::size_t> find_sign_change(std::span<const ForcePiece> pieces);

// Of a force whose noise could be resolved.
Verdict judge(bool opened, bool rise);

}  // namespace nkat::validation
