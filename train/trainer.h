// The training loop: one optimizer step after another, with everything around it that keeps a run whole.
//
// What a step is: R, M and the triality loss once; micro-batches that add dL/dM; the chain rule, clipping and AdamW
// once. What is kept: a metrics line a step, checkpoints, the newest and the best adapter. A signal throws away the
// step it falls into and saves the state at that step's start; run again, the trainer goes on from there with the same
// bytes as if nothing had happened.
#pragma once

#include <chrono>
#include <optional>

#include "core/error.h"
#include "core/progress.h"
#include "data/dataset.h"
#include "data/sampler.h"
#include "models/decoder.h"
#include "train/adapter_step.h"
#include "train/checkpoint.h"
#include "train/fault_injection.h"
#include "train/memory_recovery.h"
#include "train/run_folder.h"
#include "train/train_config.h"
#include "train/window.h"

namespace nkat::train {

// What the trainer works on; all of it outlives the trainer.
struct TrainingParts {
  const models::Decoder& decoder;
  const data::Dataset& training;
  const data::Dataset* validation;  // may be absent
  const RunFolder& folder;
  RunIdentity identity;
  std::int64_t saved_step = -1;                 // of the checkpoint that the state comes from; -1: none
  std::vector<std::string> memory_events = {};  // of earlier starts
};

class Trainer {
 public:
  // state: of a fresh run or a loaded checkpoint. config: with every `auto` resolved.
  Trainer(TrainConfig config, TrainingParts parts, TrainerState state, const MemoryChoices& choices);

  // Trains until max_steps. kInterrupted: stopped by a signal, everything saved. CheckError: three steps in a row were
  // not finite.
  ExitCode run();
  const std::vector<StepMetrics>& history() const { return metrics_.history(); }

 private:
  struct WindowResult {
    BlockGradients block_gradients;
    double loss_sum = 0.0;
    std::vector<std::int64_t> suspects;  // samples whose loss or gradient is not finite
  };

  StepMetrics step();
  WindowResult accumulate(AdapterStep& adapter, const Window& window);
  void finish_step(StepMetrics metrics);
  void validate(StepMetrics& metrics);
  void complete_pending_step();
  void save();
  void save_what_there_is();
  void finish(const std::string& stopped);
  void report(const StepMetrics& metrics);
  void stop_if_not_finite(const StepMetrics& metrics) const;
  void record_memory_event(const std::string& event);

  TrainConfig config_;
  TrainingParts parts_;
  TrainerState state_;
  Control control_;
  Schedule schedule_;
  data::Sampler sampler_;
  MemoryMonitor monitor_;
  MemoryRecovery recovery_;
  MetricsLog metrics_;
  FaultInjection faults_;
  std::vector<std::int64_t> suspects_;     // of the newest skipped steps
  std::int64_t validation_tokens_ = 2048;  // at once; halved when memory runs out
  bool warned_small_gradient_ = false;
  std::int64_t saved_step_;  // of the newest checkpoint; -1: none
  std::int64_t first_step_;  // of this process
  std::chrono::steady_clock::time_point started_;
  std::optional<ProgressBar> bar_;  // on a terminal only
};

}  // namespace nkat::train
