#include "train/run/fault_injection.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <map>
#include <sstream>
#include <stdexcept>

#include <c10/util/Exception.h>

#include "core/error.h"
#include "core/message.h"

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
      throw ConfigError("NKAT_FAULTS: " +
                        expected("entries like oom@3, device@3, bug@3, nan@3 or drift@3", "'" + entry + "'"));
    }
    injection.planned_.push_back({fault->second, step});
  }
  return injection;
}

void FaultInjection::begin_step(TrainerState& state) {
  step_ = state.step + 1;
  not_finite_ = strikes(Fault::kNotFinite);
  if (strikes(Fault::kDrift)) state.adapter.weight.view(-1)[0].add_(1e-6);
}

MicroBatchFunction FaultInjection::decorate(MicroBatchFunction run) {
  return [this, run = std::move(run)](const std::vector<at::Tensor>& matrices, const models::PackedBatch& samples,
                                      double scale, const MemorySettings& settings) {
    const double loss = run(matrices, samples, not_finite_ ? std::nan("") : scale, settings);
    if (strikes(Fault::kOutOfMemory)) TORCH_CHECK_WITH(OutOfMemoryError, false, "asked for by NKAT_FAULTS");
    TORCH_CHECK(!strikes(Fault::kDevice), "CUDA error: asked for by NKAT_FAULTS");
    if (strikes(Fault::kBug)) throw std::logic_error("asked for by NKAT_FAULTS");
    return loss;
  };
}

bool FaultInjection::strikes(Fault fault) {
  const auto due = std::find_if(planned_.begin(), planned_.end(),
                                [&](const Planned& p) { return p.fault == fault && p.step == step_; });
  if (due == planned_.end()) return false;
  planned_.erase(due);
  return true;
}

}  // namespace nkat::train
