// Runs a micro-batch within the memory there is. On out-of-memory: frees caches, applies the next fallback and repeats
// the micro-batch, whose gradient stays the same (recomputation is exact; a split differs by rounding). Fallbacks, in
// this order: split a packed micro-batch down to the batch size, recompute more layers, split further, take fewer logit
// rows at once. Each is logged and kept for the rest of the run.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "train/memory/memory_monitor.h"
#include "train/micro_batch.h"

namespace nkat::train {

class OomFallback {
 public:
  // Called for each piece of a micro-batch; returns the sum of its losses.
  using Run = std::function<double(const models::PackedBatch& piece, const MemorySettings& settings)>;
  // Takes back what a failed attempt has left behind.
  using Discard = std::function<void()>;
  using OnChange = std::function<void(const std::string& event)>;

  // settings: of the run, changed by fallbacks. They and the monitor outlive the object.
  OomFallback(std::int64_t trained_layers, MemorySettings& settings, const MemoryMonitor& monitor, OnChange on_change);

  // The sum of losses over the micro-batch. DeviceError with the table of settings when all fallbacks are exhausted.
  double run(const models::PackedBatch& packed, const Run& run, const Discard& discard);

 private:
  double run_pieces(const models::PackedBatch& packed, const Run& run) const;
  // Applies the next fallback; false if there is none.
  bool apply_fallback(std::int64_t samples);
  std::string exhausted(std::int64_t samples) const;

  std::int64_t trained_layers_;
  MemorySettings& settings_;
  const MemoryMonitor& monitor_;
  OnChange on_change_;
};

}  // namespace nkat::train
