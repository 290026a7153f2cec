#include "validation/gates/gate_report.h"

#include <algorithm>

namespace nkat::validation {

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

std::int64_t GateReport::count(Verdict verdict) const {
  return std::ranges::count(layers, verdict, &GateFinding::verdict);
}

}  // namespace nkat::validation
