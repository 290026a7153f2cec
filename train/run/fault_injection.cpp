#include "train/run/fault_injection.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <map>
#include <sstream>

#include "core/error.h"

namespace nkat::train {
namespace {

const std::map<std::string, Fault> kFaults = {{"oom", Fault::kOutOfMemory},
                                              {"device", Fault::kDevice},
                                              {"bug", Fault::kBug},
                                              {"nan", Fault::kNotFinite},
                                              {"drift", Fault::kDrift}};

}  // namespace

FaultInjection FaultInjection::from_environment() {
  FaultInjection injection;
  const char* text = std::getenv("NKAT_FAULTS");
  std::istringstream list(text == nullptr ? "" : text);
  for (std::string entry; std::getline(list, entry, ',');) {
    const std::size_t at = entry.find('@');
    const std::string name = entry.substr(0, at);
    std::int64_t step = 0;
    const char* end = entry.data() + entry.size();
    const bool number = at != std::string::npos && std::from_chars(entry.data() + at + 1, end, step).ptr == end &&
                        at + 1 < entry.size();
    const auto fault = kFaults.find(name);
    if (!number || fault == kFaults.end()) {
      throw ConfigError("NKAT_FAULTS: expected entries like oom@3, device@3, bug@3, nan@3 or drift@3, found '" + entry +
                        "'");
    }
    injection.planned_.push_back({fault->second, step});
  }
  return injection;
}

bool FaultInjection::strikes(Fault fault, std::int64_t step) {
  const auto due = std::find_if(planned_.begin(), planned_.end(),
                                [&](const Planned& p) { return p.fault == fault && p.step == step; });
  if (due == planned_.end()) return false;
  planned_.erase(due);
  return true;
}

}  // namespace nkat::train
