// What a run writes and says while it trains: metrics, checkpoints, the newest and the best adapter, config.json's
// settings, summary.json, training.png, where asked for event files and sample answers, the progress bar and the log
// lines. Rank 0 records; without a folder every call returns at once.
//
// Promise: one metrics line per step across stops and resumes, synced before the checkpoint that covers it. Whatever
// ends the steps, the newest state is saved first, unless the ranks' states differ.
#pragma once

#include <chrono>
#include <functional>
#include <optional>

#include "core/cli/progress.h"
#include "core/error.h"
#include "train/memory/memory_monitor.h"
#include "train/run/checkpoint.h"
#include "train/run/event_log.h"
#include "train/run/metrics.h"
#include "train/run/run_folder.h"
#include "train/run/samples_log.h"
#include "train/train_config.h"
#include "train/trainer_state.h"

namespace nkat::train {

// The run that is recorded; folder and model outlive the recorder.
struct RecordedRun {
  const RunFolder* folder;  // nullptr on all ranks but 0
  const models::ModelConfig& model;
  RunIdentity identity = {};
  std::int64_t saved_step = -1;  // of the newest checkpoint; -1: none
};

class RunRecorder {
 public:
  // state: what the run starts from. The metrics are cut after its step; DataError when lines up to it are missing.
  RunRecorder(TrainConfig config, RecordedRun run, const TrainerState& state, const MemoryMonitor& monitor);

  // Runs `steps`, which change `state`, and finishes the run: saves the state after any exception but RankMismatch,
  // writes the summary and the plot when the steps end by themselves, by a signal or by a CheckError. Rethrows; a
  // failed device as DeviceError.
  ExitCode keep(const TrainerState& state, const std::function<ExitCode()>& steps);

  // Before the first step: makes sure that there is a checkpoint and that adapter/ is the newest one's.
  void begin(const TrainerState& state);
  // What the adapter after `step` answers; before the step's record(), which decides whether they stay.
  void record_samples(std::int64_t step, const std::vector<SampleAnswer>& answers);
  void record(const StepMetrics& metrics, const TrainerState& state);
  // Whether --early-stopping-patience is exhausted with this line, whose step is not the last; false without a folder.
  bool ends_early(const StepMetrics& metrics, const TrainerState& state) const;
  void save(const TrainerState& state);
  void save_unless_saved(const TrainerState& state);
  // Adds the event to the state's settings, with its step, and writes config.json.
  void add_memory_event(TrainerState& state, const std::string& event);
  // Steps at the end of the metrics whose update was skipped.
  std::int64_t skipped_in_a_row() const;

 private:
  void finish(const TrainerState& state, std::string stopped);
  void save_after_error(const TrainerState& state);
  void report(const StepMetrics& metrics, const TrainerState& state);
  std::string time_left(std::int64_t step) const;
  void publish(const fs::path& folder, const TrainerState& state) const;

  TrainConfig config_;
  RecordedRun run_;
  const MemoryMonitor& monitor_;
  std::optional<MetricsLog> metrics_;
  std::optional<EventLog> events_;     // with --tensorboard
  std::optional<SamplesLog> samples_;  // with --sample-prompts
  std::optional<ProgressBar> bar_;     // on a terminal only
  bool warned_small_gradient_ = false;
  std::int64_t first_step_;  // of this process
  std::chrono::steady_clock::time_point started_;
};

// For a run that is at its last step, or has ended early, already: writes what a kill after the last checkpoint may have
// left out, and logs that nothing is trained. base: what the checkpoint was trained on.
// has_ended_early: under this start's patience, as far as the metrics up to the state's step tell.
bool has_ended_early(const RunFolder& folder, const TrainConfig& config, const TrainerState& state);
void repeat_finish(const RunFolder& folder, const TrainConfig& config, const TrainerState& state,
                   const models::ModelConfig& model, const models::BaseFingerprint& base);

}  // namespace nkat::train
