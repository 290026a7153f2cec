#include "train/run/run_recorder.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "core/cli/log.h"
#include "core/files/atomic_file.h"
#include "core/json.h"
#include "core/machine.h"
#include "core/message.h"
#include "data/run/validation_trend.h"
#include "models/device.h"
#include "train/distributed/process_group.h"
#include "train/run/metrics.h"
#include "train/run/training_plot.h"

namespace nkat::train {
namespace {

using Clock = std::chrono::steady_clock;

// How a run stopped, in its summary.
constexpr const char *kFinished = "finished", *kEarly = "early";

// Adam's epsilon damps updates whose gradient isn't much larger.
constexpr double kSmallGradient = 100.0;

void write_summary(const fs::path& path, const std::vector<StepMetrics>& history, const TrainConfig& config,
                   const TrainerState& state, const std::string& stopped) {
  RunSummary summary = summarize(history, state.adapter, config.max_grad_norm, state.settings.validation_since);
  summary.stopped = stopped;
  write_file_atomically(path, to_json_text(summary));
}

bool ended_early(const std::vector<StepMetrics>& history, const TrainConfig& config, const TrainerState& state) {
  return state.step < config.max_steps && !state.pending &&
         data::validation_trend(history, state.settings.validation_since).exhausts(config.early_stopping_patience);
}

// "3 validations in a row without a loss below 1.2345 (step 200)"
std::string without_gain(const std::vector<StepMetrics>& history, const TrainerState& state) {
  const data::ValidationTrend trend = data::validation_trend(history, state.settings.validation_since);
  return fmt::format(
      "{} validation{} in a row without a {}", trend.without_gain, trend.without_gain == 1 ? "" : "s",
      trend.best ? fmt::format("loss below {:.4f} (step {})", trend.best->loss, trend.best->step) : "finite loss");
}

std::string quoted(const std::string& text) { return dump_json(nlohmann::ordered_json(text)); }

}  // namespace

RunRecorder::RunRecorder(TrainConfig config, RecordedRun run, const TrainerState& state, const MemoryMonitor& monitor)
    : config_(std::move(config)),
      run_(std::move(run)),
      monitor_(monitor),
      first_step_(state.step),
      started_(Clock::now()) {
  if (run_.folder == nullptr) return;
  const std::int64_t last_line = state.pending ? state.step - 1 : state.step;
  metrics_.emplace(run_.folder->metrics(), last_line, state.adapter.count());
  if (config_.tensorboard) events_.emplace(run_.folder->tensorboard(), metrics_->history(), state.adapter.first_layer);
  if (!config_.sample_prompts.empty()) samples_.emplace(run_.folder->samples(), last_line);
  if (stderr_is_terminal())
    bar_.emplace("train", static_cast<std::uint64_t>(config_.max_steps), static_cast<std::uint64_t>(state.step));
}

ExitCode RunRecorder::keep(const TrainerState& state, const std::function<ExitCode()>& steps) {
  try {
    const ExitCode code = steps();
    finish(state, code == ExitCode::kDone ? kFinished : "signal");
    return code;
  } catch (const RankMismatch&) {
    throw;
  } catch (const CheckError&) {
    static_assert(data::kSkippedStepsToStop == 3, "the summary says three");
    finish(state, "three steps in a row were not finite");
    throw;
  } catch (const std::exception& error) {  // the state is in host memory, so a dead device leaves it intact
    save_after_error(state);
    if (!models::is_device_failure(error)) throw;
    throw DeviceError(fmt::format(
        "step {}: the device failed: {}; the state at the step's start is saved, run the same command to go on",
        state.step + 1, first_line(error.what())));
  }
}

void RunRecorder::begin(const TrainerState& state) {
  if (run_.folder == nullptr) return;
  if (run_.saved_step != state.step) {
    save(state);
  } else {  // a kill may have come between the checkpoint and the copy
    publish(run_.folder->newest_adapter(), state);
  }
}

void RunRecorder::record_samples(std::int64_t step, const std::vector<SampleAnswer>& answers) {
  if (!samples_) return;
  samples_->append(step, answers);
  for (const auto& [prompt, answer] : answers)
    log::info(fmt::format("step {}: {} is answered {}", step, quoted(prompt), quoted(answer)));
}

void RunRecorder::record(const StepMetrics& metrics, const TrainerState& state) {
  if (run_.folder == nullptr) return;
  const std::int64_t since = state.settings.validation_since;
  const auto best_before = data::validation_trend(metrics_->history(), since).best;
  metrics_->append(metrics);
  if (events_) events_->append(metrics);
  const auto best = data::validation_trend(metrics_->history(), since).best;
  if (best && (!best_before || best->step != best_before->step)) publish(run_.folder->best_adapter(), state);
  report(metrics, state);
}

bool RunRecorder::ends_early(const StepMetrics& metrics, const TrainerState& state) const {
  if (!metrics_ || metrics.step == config_.max_steps) return false;
  data::ValidationTrend trend = data::validation_trend(metrics_->history(), state.settings.validation_since);
  trend.add(metrics);
  return trend.exhausts(config_.early_stopping_patience);
}

void RunRecorder::save(const TrainerState& state) {
  if (run_.folder == nullptr) return;
  metrics_->sync();
  if (events_) events_->sync();
  if (samples_) samples_->sync();
  save_checkpoint(run_.folder->checkpoints(), state, metrics_->history(), run_.model, run_.identity);
  publish(run_.folder->newest_adapter(), state);
  remove_old_checkpoints(run_.folder->checkpoints(), state.step, config_.keep_checkpoints);
  run_.saved_step = state.step;
}

void RunRecorder::save_unless_saved(const TrainerState& state) {
  if (run_.saved_step != state.step) save(state);
}

void RunRecorder::add_memory_event(TrainerState& state, const std::string& event) {
  if (run_.folder == nullptr) return;
  state.settings.memory_events.push_back(fmt::format("step {}: {}", state.step + 1, event));
  config_.checkpointing = std::to_string(state.settings.memory.recomputed_layers);
  run_.folder->save_config(config_, state.settings);
}

std::int64_t RunRecorder::skipped_in_a_row() const {
  if (!metrics_) return 0;
  const auto& lines = metrics_->history();
  const auto updated =
      std::find_if(lines.rbegin(), lines.rend(), [](const StepMetrics& line) { return !line.skipped; });
  return std::distance(lines.rbegin(), updated);
}

void RunRecorder::finish(const TrainerState& state, std::string stopped) {
  bar_.reset();
  if (run_.folder == nullptr) return;
  if (stopped == kFinished && ended_early(metrics_->history(), config_, state)) {
    stopped = kEarly;
    log::info(fmt::format("step {}: ends early, {}", state.step, without_gain(metrics_->history(), state)));
  }
  log::info("memory: " + monitor_.describe());
  write_summary(run_.folder->summary(), metrics_->history(), config_, state, stopped);
  plot_training(metrics_->history(), state.adapter.first_layer, run_.folder->plot());
}

// Saving may fail for the same reason; the first error is the one to report.
void RunRecorder::save_after_error(const TrainerState& state) {
  try {
    save_unless_saved(state);
  } catch (const std::exception& error) {
    log::warning(fmt::format("the state of step {} is not saved: {}", state.step, error.what()));
  }
}

void RunRecorder::report(const StepMetrics& metrics, const TrainerState& state) {
  const std::vector<double> gates = state.adapter.gates();
  const auto open = std::count_if(gates.begin(), gates.end(), [](double gate) { return gate > 0.5; });
  const std::string detail = fmt::format(
      "loss {:.3f}  open gates {}/{}  lambda {:.3f}  {:.0f} tokens/s  {}", metrics.loss, open, gates.size(),
      metrics.triality_weight, metrics.tokens_per_second(), format_bytes(static_cast<double>(metrics.memory_bytes)));
  if (bar_) bar_->update(static_cast<std::uint64_t>(metrics.step), detail);
  if (metrics.skipped) log::warning(fmt::format("step {}: skipped, {}", metrics.step, *metrics.skipped));
  if (metrics.validation_loss)
    log::info(fmt::format("step {}: validation loss {:.4f}", metrics.step, *metrics.validation_loss));
  const bool small = metrics.weight_grad_rms > 0.0 && metrics.weight_grad_rms < kSmallGradient * config_.adam_epsilon;
  if (small && !std::exchange(warned_small_gradient_, true)) {
    log::warning(fmt::format(
        "step {}: the rotation gradient's root mean square {:.2e} is below 100 x --adam-epsilon; Adam damps it",
        metrics.step, metrics.weight_grad_rms));
  }
  if (bar_ || metrics.step % config_.log_every != 0) return;
  log::info(fmt::format("step {}/{}  {}  {}", metrics.step, config_.max_steps, detail, time_left(metrics.step)));
}

std::string RunRecorder::time_left(std::int64_t step) const {
  const std::int64_t done = step - first_step_;
  if (done <= 0) return "";  // a step whose validation alone was left to do
  const double seconds = std::chrono::duration<double>(Clock::now() - started_).count();
  return format_duration(seconds / static_cast<double>(done) * static_cast<double>(config_.max_steps - step)) + " left";
}

void RunRecorder::publish(const fs::path& folder, const TrainerState& state) const {
  publish_adapter(folder, state.adapter, run_.model, run_.identity.base);
}

bool has_ended_early(const RunFolder& folder, const TrainConfig& config, const TrainerState& state) {
  if (config.early_stopping_patience == 0 || state.pending) return false;
  const MetricsLog metrics(folder.metrics(), state.step, state.adapter.count());
  return ended_early(metrics.history(), config, state);
}

void repeat_finish(const RunFolder& folder, const TrainConfig& config, const TrainerState& state,
                   const models::ModelConfig& model, const models::BaseFingerprint& base) {
  const MetricsLog metrics(folder.metrics(), state.step, state.adapter.count());
  const bool early = ended_early(metrics.history(), config, state);
  publish_adapter(folder.newest_adapter(), state.adapter, model, base);
  write_summary(folder.summary(), metrics.history(), config, state, early ? kEarly : kFinished);
  if (config.tensorboard) EventLog(folder.tensorboard(), metrics.history(), state.adapter.first_layer).sync();
  if (!fs::exists(folder.plot())) plot_training(metrics.history(), state.adapter.first_layer, folder.plot());
  if (early) {
    log::info(fmt::format("{}: this run has ended early at step {}: {}; raise --early-stopping-patience to continue",
                          config.output_dir, state.step, without_gain(metrics.history(), state)));
  } else if (state.step > config.max_steps) {
    log::warning(fmt::format("{}: this run is at step {} already, beyond --max-steps {}; nothing is trained or undone",
                             config.output_dir, state.step, config.max_steps));
  } else {
    log::info(fmt::format("{}: this run is finished at step {}; raise --max-steps to continue", config.output_dir,
                          state.step));
  }
}

}  // namespace nkat::train
