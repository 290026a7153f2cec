// The training loop: one optimizer step after another until max_steps or an early end.
//
// A step computes R, M and the triality loss once, adds dL/dM over the micro-batches of a global batch, and then takes
// the chain rule, clipping and AdamW once. Nothing of a step counts before its micro-batches are done: a signal drops
// the step and leaves the state as it was at the step's start. RunRecorder keeps what the steps reach.
#pragma once

#include <functional>
#include <vector>

#include "core/error.h"
#include "data/datasets/dataset.h"
#include "data/datasets/sampler.h"
#include "train/adapter_gradients.h"
#include "train/distributed/process_group.h"
#include "train/gradient_accumulation.h"
#include "train/memory/memory_monitor.h"
#include "train/memory/oom_fallback.h"
#include "train/run/run_recorder.h"
#include "train/schedule.h"
#include "train/step_result.h"
#include "train/train_config.h"
#include "train/trainer_state.h"

namespace nkat::train {

// What the trainer works with; all of it outlives the trainer.
struct TrainingParts {
  const data::Dataset& training;
  ProcessGroup& group;
  MemoryMonitor& monitor;
  RunRecorder& recorder;
  at::Device device;
  MicroBatchFunction run_micro_batch;
  // The validation loss of an adapter over all ranks; empty without validation data.
  std::function<double(const models::Adapter&, const OomFallback::OnChange&)> validate = {};
  // The answers of an adapter to --sample-prompts; empty without them and on all ranks but 0.
  std::function<std::vector<SampleAnswer>(const models::Adapter&)> answer_samples = {};
  std::function<void(TrainerState&)> before_step = {};  // may be empty
};

class Trainer {
 public:
  // config: with every `auto` resolved. state: of a fresh run or a loaded checkpoint.
  Trainer(TrainConfig config, TrainingParts parts, TrainerState state);

  // Trains until max_steps, or until --early-stopping-patience is exhausted; all ranks end in the same way. kInterrupted: a
  // signal stopped the run, everything is saved.
  // CheckError: three steps in a row were not finite. RankMismatch: the ranks' states differ; nothing is saved.
  ExitCode run();
  const TrainerState& state() const { return state_; }

 private:
  ExitCode run_steps();
  StepMetrics step();
  GlobalBatch next_batch();
  StepResult accumulate(AdapterGradients& adapter, const GlobalBatch& batch);
  StepMetrics update(const AdapterGradients& adapter, const GlobalBatch& batch, const StepResult& result);
  void finish_step(StepMetrics metrics);
  void conclude_validation(const StepMetrics& metrics);
  void check_finite(const StepMetrics& metrics);
  void check_same_state();
  // For the other ranks to compare; 0 in one process.
  std::uint64_t digest() const { return parts_.group.size() == 1 ? 0 : state_digest(state_); }
  void on_memory_change(const std::string& event);

  TrainConfig config_;
  TrainingParts parts_;
  TrainerState state_;
  Control control_;
  Schedule schedule_;
  data::Sampler sampler_;
  OomFallback oom_fallback_;
  std::vector<std::int64_t> nonfinite_samples_;  // of this process's skipped steps since the last update
  std::int64_t skipped_in_a_row_ = 0;
  bool ends_early_ = false;
  bool memory_changed_ = false;  // since the last step's message
};

}  // namespace nkat::train
