// The training loop: one optimizer step after another, with everything around it that keeps a run whole.
//
// What a step is: R, M and the triality loss once; micro-batches that add dL/dM; the chain rule, clipping and AdamW
// once. What is kept: a metrics line a step, checkpoints, the newest and the best adapter. A signal throws away the
// step it falls into and saves the state at that step's start; run again, the trainer goes on from there with the same
// bytes as if nothing had happened.
#pragma once

#include <chrono>
#include <optional>

#include "core/cli/progress.h"
#include "core/error.h"
#include "data/datasets/dataset.h"
#include "data/datasets/sampler.h"
#include "models/decoder.h"
#include "models/evaluation.h"
#include "train/adapter_gradients.h"
#include "train/batch.h"
#include "train/distributed/process_group.h"
#include "train/distributed/setup.h"
#include "train/memory/oom_fallback.h"
#include "train/run/checkpoint.h"
#include "train/run/fault_injection.h"
#include "train/run/run_folder.h"
#include "train/step_result.h"
#include "train/train_config.h"

namespace nkat::train {

// What the trainer works on; all of it outlives the trainer.
struct TrainingParts {
  const models::Decoder& decoder;
  const data::Dataset& training;
  const data::Dataset* validation;  // may be absent
  ProcessGroup& ranks;
  const RunFolder* folder;  // of rank 0; the others have none
  RunIdentity identity;
  ResumeRecord record = {};
  std::int64_t saved_step = -1;                 // of the checkpoint that the state comes from; -1: none
  std::vector<std::string> memory_events = {};  // of earlier starts
};

class Trainer {
 public:
  // state: of a fresh run or a loaded checkpoint. config: with every `auto` resolved.
  Trainer(TrainConfig config, TrainingParts parts, TrainerState state, const MemorySettings& choices);

  // Trains until max_steps. kInterrupted: stopped by a signal, everything saved. CheckError: three steps in a row were
  // not finite. RankMismatch: nothing is saved. With several ranks, all of them leave in the same way.
  ExitCode run();

 private:
  ExitCode run_steps();
  StepMetrics step();
  StepResult accumulate(AdapterGradients& adapter, const GlobalBatch& window);
  void finish_step(StepMetrics metrics);
  void record(const StepMetrics& metrics);
  void validate(StepMetrics& metrics);
  models::LossReport validate_share();
  void require_same_state();
  // Of the state, for the other ranks to compare; 0 in one process.
  std::uint64_t digest() const { return parts_.ranks.size() == 1 ? 0 : state_digest(state_); }
  void complete_pending_step();
  void save();
  void save_what_there_is();
  void finish(const std::string& stopped);
  void report(const StepMetrics& metrics);
  void stop_if_not_finite(const StepMetrics& metrics) const;
  void on_memory_change(const std::string& event);
  void record_memory_event(const std::string& event);

  TrainConfig config_;
  TrainingParts parts_;
  TrainerState state_;
  Control control_;
  Schedule schedule_;
  data::Sampler sampler_;
  MemoryMonitor monitor_;
  OomFallback recovery_;
  std::optional<MetricsLog> metrics_;  // of rank 0
  FaultInjection faults_;
  std::vector<std::int64_t> suspects_;  // samples of the newest skipped steps
  std::int64_t skipped_in_a_row_ = 0;
  std::int64_t validation_tokens_ = 2048;  // at once; halved when memory runs out
  bool memory_changed_ = false;            // since the last step's message
  bool warned_small_gradient_ = false;
  std::int64_t saved_step_;  // of the newest checkpoint; -1: none
  std::int64_t first_step_;  // of this process
  std::chrono::steady_clock::time_point started_;
  std::optional<ProgressBar> bar_;  // on a terminal only
};

}  // namespace nkat::train
