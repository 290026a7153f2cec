// Faults that tests ask for through the environment, to prove recovery on a machine that has none.
//   NKAT_FAULTS="oom@3,oom@3,nan@5": each entry strikes once, in the step of its number (from 1).
// oom: out of memory after a micro-batch; device: a CUDA error; bug: an exception that nothing expects; nan: the step's
// gradient is NaN; drift: a weight changes, as by a bad memory cell. A malformed value is a ConfigError.
#pragma once

#include <cstdint>
#include <vector>

#include "train/micro_batch.h"
#include "train/trainer_state.h"

namespace nkat::train {

enum class Fault { kOutOfMemory, kDevice, kBug, kNotFinite, kDrift };

class FaultInjection {
 public:
  static FaultInjection from_environment();
  bool empty() const { return planned_.empty(); }

  // The next step begins; a drift strikes now.
  void begin_step(TrainerState& state);
  // `run` with this step's faults. The object outlives the function.
  MicroBatchFunction decorate(MicroBatchFunction run);

 private:
  // True once for each entry that is due in this step.
  bool strikes(Fault fault);

  struct Planned {
    Fault fault;
    std::int64_t step;
  };
  std::vector<Planned> planned_;
  std::int64_t step_ = 0;
  bool not_finite_ = false;  // all of this step's micro-batches
};

}  // namespace nkat::train
