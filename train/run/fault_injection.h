// Faults that the tests ask for through the environment, so that recovery is proved on a machine without them.
//   NKAT_FAULTS="oom@3,oom@3,nan@5": the k-th listed fault strikes in the step of its number (from 1), once each.
// oom: out of memory in a micro-batch; device: a CUDA error in one; bug: an exception that nobody expects; nan: a loss
// that is not finite; drift: a weight changes, as by a bad memory cell. Unset in normal use; a malformed value is a ConfigError.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace nkat::train {

enum class Fault { kOutOfMemory, kDevice, kBug, kNotFinite, kDrift };

class FaultInjection {
 public:
  static FaultInjection from_environment();
  // True, once for each listed fault, when it is due in this step.
  bool strikes(Fault fault, std::int64_t step);

 private:
  struct Planned {
    Fault fault;
    std::int64_t step;
  };
  std::vector<Planned> planned_;
};

}  // namespace nkat::train
