// Runs a micro-batch within the memory there is. On out-of-memory: free caches, split a packed micro-batch down to
// the batch size, recompute more layers, split further, take the head in smaller pieces, and do the same micro-batch
// again, with the gradient it would have had (recomputation is exact; a split differs by rounding). Each change is
// logged and kept for the rest of the run.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "train/memory/memory_monitor.h"
#include "train/micro_batch.h"

namespace nkat::train {

class OomFallback {
 public:
  // Called for each piece of a micro-batch; returns Σ losses. `discard` takes back what an attempt left behind.
  using Run = std::function<double(const models::PackedSamples& piece, const MemorySettings& choices)>;
  using Discard = std::function<void()>;
  using OnChange = std::function<void(const std::string& event)>;

  OomFallback(std::int64_t trained_layers, MemorySettings choices, const MemoryMonitor& monitor, OnChange on_change);

  // Σ losses over the micro-batch. DeviceError with the table of choices when nothing is left to give.
  double run(const models::PackedSamples& packed, const Run& run, const Discard& discard);
  const MemorySettings& choices() const { return choices_; }

 private:
  double run_pieces(const models::PackedSamples& packed, const Run& run) const;
  // Turns the next dial; false if there is none.
  bool apply_fallback(std::int64_t samples);
  std::string table(std::int64_t samples) const;

  std::int64_t trained_layers_;
  MemorySettings choices_;
  const MemoryMonitor& monitor_;
  OnChange on_change_;
};

}  // namespace nkat::train
