#include "validation/gates/gate_report.h"

#include <algorithm>

#include "layers/sigmoid.h"

namespace nkat::validation {

double gate_of(double alpha) { return layers::sigmoid(alpha); }

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
