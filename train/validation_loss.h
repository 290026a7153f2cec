// The loss on the validation data, computed by all ranks together: each takes every size-th sample.
#pragma once

#include <functional>
#include <string>

#include "data/datasets/dataset.h"
#include "models/adapter.h"
#include "models/decoder.h"
#include "models/evaluation.h"
#include "train/distributed/process_group.h"
#include "train/memory/memory_monitor.h"

namespace nkat::train {

class ValidationLoss {
 public:
  using OnMemoryChange = std::function<void(const std::string& event)>;

  // All arguments outlive the object.
  ValidationLoss(const models::Decoder& decoder, const data::Dataset& dataset, ProcessGroup& group,
                 const MemoryMonitor& monitor);

  // Nats per target token, the same on all ranks. Takes fewer tokens at a time when memory runs out, and tells so.
  // DeviceError when one sample at a time does not fit; Interrupted on all ranks when one of them was asked to stop.
  double operator()(const models::Adapter& adapter, const OnMemoryChange& on_memory_change);

 private:
  models::LossReport loss_of_share(const models::Adapter& adapter, const OnMemoryChange& on_memory_change);

  const models::Decoder& decoder_;
  const data::Dataset& dataset_;
  ProcessGroup& group_;
  const MemoryMonitor& monitor_;
  std::int64_t tokens_per_pass_ = 2048;
};

}  // namespace nkat::train
