#include "train/trainer.h"

#include <bit>
#include <cmath>

#include "core/cli/log.h"
#include "core/error.h"
#include "core/files/atomic_file.h"
#include "core/machine.h"
#include "core/signals.h"
#include "models/device_errors.h"
#include "models/evaluation.h"
#include "train/run/summary.h"
#include "train/run/training_plot.h"

namespace nkat::train {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int kNotFiniteInARow = 3;
constexpr std::int64_t kFewestValidationTokens = 16;
constexpr double kGiB = 1024.0 * 1024.0 * 1024.0;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// One number for all layers, so that a GPU is asked once.
bool all_finite(const AdapterMatrixGradients& gradients) {
  at::Tensor sum = at::zeros({}, gradients.front().options());
  for (const at::Tensor& gradient : gradients) sum.add_(gradient.sum());
  return std::isfinite(sum.item<double>());
}

// Force and gates are saved as float32 too; rounding here keeps the metrics and the checkpoints equal.
std::vector<double> as_float32(const std::vector<double>& values) {
  std::vector<double> rounded;
  for (const double value : values) rounded.push_back(static_cast<double>(static_cast<float>(value)));
  return rounded;
}

std::vector<double> alpha_values(const models::Adapter& adapter) {
  const float* alpha = adapter.alpha.data_ptr<float>();
  return {alpha, alpha + adapter.count()};
}

}  // namespace

Trainer::Trainer(TrainConfig config, TrainingParts parts, TrainerState state, const MemorySettings& choices)
    : config_(std::move(config)),
      parts_(std::move(parts)),
      state_(std::move(state)),
      control_(config_.control),
      schedule_(config_.rate_schedule()),
      sampler_(parts_.training.size(), static_cast<std::uint64_t>(config_.seed)),
      monitor_(parts_.decoder.device(), static_cast<std::uint64_t>(config_.vram_budget_gib * kGiB)),
      recovery_(state_.adapter.count(), choices, monitor_,
                [this](const std::string& event) { on_memory_change(event); }),
      faults_(FaultInjection::from_environment()),
      saved_step_(parts_.saved_step),
      first_step_(state_.step),
      started_(Clock::now()) {
  if (parts_.folder == nullptr) return;
  metrics_.emplace(parts_.folder->metrics(), state_.pending ? state_.step - 1 : state_.step, state_.adapter.count());
  const auto& lines = metrics_->history();
  for (auto line = lines.rbegin(); line != lines.rend() && line->skipped; ++line) ++skipped_in_a_row_;
}

ExitCode Trainer::run() {
  skipped_in_a_row_ = std::stoll(parts_.ranks.broadcast(std::to_string(skipped_in_a_row_)));
  if (stderr_is_terminal() && parts_.ranks.writes())
    bar_.emplace("train", static_cast<std::uint64_t>(config_.max_steps), static_cast<std::uint64_t>(state_.step));
  try {
    const ExitCode code = run_steps();
    finish(code == ExitCode::kDone ? "finished" : "signal");
    parts_.ranks.shutdown();
    return code;
  } catch (const DeviceError&) {
    save_what_there_is();
    throw;
  } catch (const RankMismatch&) {
    throw;
  } catch (const CheckError&) {
    finish("three steps in a row were not finite");
    parts_.ranks.shutdown();
    throw;
  } catch (const std::exception& error) {  // the state is in host memory, so a dead device leaves it good
    save_what_there_is();
    if (!models::is_device_failure(error)) throw;
    const std::string text = error.what();
    throw DeviceError(fmt::format(
        "step {}: the device failed: {}; the state at the step's start is saved, run the same command to go on",
        state_.step + 1, text.substr(0, text.find('\n'))));
  }
}

ExitCode Trainer::run_steps() {
  try {
    complete_pending_step();
    if (saved_step_ != state_.step) {
      save();
    } else if (parts_.folder != nullptr) {  // a kill may have come between the checkpoint and the copy
      publish_adapter(parts_.folder->newest_adapter(), state_.adapter, parts_.decoder.config(), parts_.identity.base);
    }
    while (state_.step < config_.max_steps) finish_step(step());
  } catch (const Interrupted&) {
    if (saved_step_ != state_.step) save();
    return ExitCode::kInterrupted;
  }
  return ExitCode::kDone;
}

StepMetrics Trainer::step() {
  const auto started = Clock::now();
  const std::int64_t t = state_.step;
  monitor_.begin_step();
  if (faults_.strikes(Fault::kDrift, t + 1)) state_.adapter.weight.view(-1)[0].add_(1e-6);

  // Once a step: rotations, triality and M; the window's samples.
  AdapterGradients adapter(state_.adapter, parts_.decoder.device());
  GlobalBatch window = assemble_batch(parts_.training, sampler_,
                                      {config_.batch_size, config_.gradient_accumulation, config_.packed_tokens(),
                                       parts_.ranks.rank(), parts_.ranks.size()},
                                      t);
  if (control_ == Control::kShuffled)
    shuffle_targets(window, parts_.training, static_cast<std::uint64_t>(config_.seed), t);

  // Micro-batches: Σ losses and Σ dL/dM, over all ranks. A signal leaves from here, before anything has changed.
  const StepResult result = all_reduce(parts_.ranks, accumulate(adapter, window), std::ssize(window.samples), digest());
  for (const int rank : result.changed_ranks) {
    if (rank != parts_.ranks.rank())
      record_memory_event(fmt::format("rank {}: memory ran out; its own log says what it gave up", rank));
  }
  if (result.stop) throw Interrupted("stopped by a signal");

  // Chain rule to W and α, clipping, AdamW.
  const double lambda = triality_weight_at(t, config_.triality_weight, config_.annealing_warmup);
  auto [gradient, force] = adapter.backward(result.block_gradients, lambda, control_);
  const ClipResult clip = clip_by_global_norm(gradient, config_.max_grad_norm);
  const LearningRates rates{config_.learning_rate * schedule_.factor(t),
                            config_.alpha_learning_rate * schedule_.factor(t)};

  StepMetrics metrics{.step = t + 1,
                      .loss = result.loss_sum / static_cast<double>(window.target_tokens),
                      .triality = adapter.triality(),
                      .triality_weight = lambda,
                      .tokens = window.tokens,
                      .target_tokens = window.target_tokens,
                      .grad_norm = clip.norm,
                      .weight_grad_rms = root_mean_square(gradient.weight),
                      .learning_rate = rates.weight,
                      .alpha_learning_rate = rates.alpha,
                      .alpha = alpha_values(state_.adapter),
                      .gate_force = as_float32(force)};
  if (std::isfinite(metrics.loss) && std::isfinite(clip.norm)) {
    adamw_update(state_.adapter, gradient, state_.optimizer, rates, config_.adam_epsilon);
    suspects_.clear();
  } else {
    metrics.skipped = std::isfinite(metrics.loss) ? "the gradient is not finite" : "the loss is not finite";
    metrics.gate_force.assign(metrics.gate_force.size(), std::nan(""));
    for (const std::int64_t place : result.suspects)
      suspects_.push_back(window.samples[static_cast<std::size_t>(place)]);
  }
  ++state_.step;
  metrics.memory_bytes = std::max(monitor_.figures().peak_bytes, result.peak_bytes);
  metrics.step_seconds = seconds_since(started);
  return metrics;
}

StepResult Trainer::accumulate(AdapterGradients& adapter, const GlobalBatch& window) {
  StepResult result;
  const std::int64_t number = state_.step + 1;
  double scale = 1.0 / static_cast<double>(window.target_tokens);
  if (faults_.strikes(Fault::kNotFinite, number)) scale = std::nan("");
  const auto run_piece = [&](const models::PackedSamples& piece, const MemorySettings& choices) {
    const double loss =
        run_micro_batch(parts_.decoder, adapter.blocks(), piece.to(parts_.decoder.device()), scale, choices);
    if (faults_.strikes(Fault::kOutOfMemory, number))
      TORCH_CHECK_WITH(OutOfMemoryError, false, "asked for by NKAT_FAULTS");
    TORCH_CHECK(!faults_.strikes(Fault::kDevice, number), "CUDA error: asked for by NKAT_FAULTS");
    if (faults_.strikes(Fault::kBug, number)) throw std::logic_error("asked for by NKAT_FAULTS");
    return loss;
  };
  for (std::size_t i = 0; i < window.micro_batches.size() && !stop_requested(); ++i) {
    const models::PackedSamples& packed = window.micro_batches[i];
    const double loss = recovery_.run(packed, run_piece, [&] { adapter.collect_gradients(); });
    // The leaves hold this micro-batch alone, so that a failed attempt can be thrown away.
    AdapterMatrixGradients gradients = adapter.collect_gradients();
    if (!std::isfinite(loss) || !all_finite(gradients))
      result.suspects.insert(result.suspects.end(), window.places[i].begin(), window.places[i].end());
    result.loss_sum += loss;
    if (result.block_gradients.empty()) {
      result.block_gradients = std::move(gradients);
    } else {
      for (std::size_t layer = 0; layer < gradients.size(); ++layer)
        result.block_gradients[layer].add_(gradients[layer]);
    }
  }
  if (result.block_gradients.empty()) result.block_gradients = adapter.collect_gradients();  // zeros
  result.stop = stop_requested();
  result.peak_bytes = monitor_.figures().peak_bytes;
  result.memory_changed = std::exchange(memory_changed_, false);
  return result;
}

void Trainer::finish_step(StepMetrics metrics) {
  const bool last = metrics.step == config_.max_steps;
  if (parts_.validation != nullptr && (last || metrics.step % config_.validate_every == 0)) {
    try {
      validate(metrics);
    } catch (const Error&) {
      state_.pending = metrics;
      throw;
    }
  }
  if (parts_.folder != nullptr) record(metrics);
  skipped_in_a_row_ = metrics.skipped ? skipped_in_a_row_ + 1 : 0;
  stop_if_not_finite(metrics);
  if (last || metrics.step % config_.checkpoint_every == 0) {
    require_same_state();
    save();
  }
}

void Trainer::record(const StepMetrics& metrics) {
  const auto best_before = best_validation(metrics_->history(), parts_.record.validation_since);
  metrics_->append(metrics);
  const auto best = best_validation(metrics_->history(), parts_.record.validation_since);
  if (best && (!best_before || best->step != best_before->step)) {
    publish_adapter(parts_.folder->best_adapter(), state_.adapter, parts_.decoder.config(), parts_.identity.base);
  }
  report(metrics);
}

void Trainer::require_same_state() {
  if (parts_.ranks.size() == 1) return;
  std::vector<std::uint64_t> digests;
  for (const auto& words : parts_.ranks.gather({digest()})) digests.push_back(words.front());
  check_consistent(digests, fmt::format("the state of step {}", state_.step));
  log::info(
      fmt::format("step {}: all {} ranks hold the same state, {:016x}", state_.step, digests.size(), digests.front()));
}

// Each rank takes every size-th sample. A rank that a signal stops says so, and all of them leave.
void Trainer::validate(StepMetrics& metrics) {
  models::LossReport share;
  bool stop = false;
  try {
    share = validate_share();
  } catch (const Interrupted&) {
    stop = true;
  }
  double sum = 0.0;
  std::uint64_t targets = 0;
  for (const auto& words : parts_.ranks.gather({std::bit_cast<std::uint64_t>(share.sum()),
                                                static_cast<std::uint64_t>(share.target_tokens()), stop ? 1U : 0U})) {
    sum += std::bit_cast<double>(words[0]);
    targets += words[1];
    stop = stop || words[2] != 0;
  }
  if (stop) throw Interrupted("stopped by a signal");
  metrics.validation_loss = sum / static_cast<double>(targets);
}

models::LossReport Trainer::validate_share() {
  const auto blocks = state_.adapter.matrices(parts_.decoder.device());
  for (;;) {
    try {
      return models::evaluate_loss(
          parts_.decoder, blocks, *parts_.validation,
          {.tokens_per_pass = validation_tokens_, .first = parts_.ranks.rank(), .every = parts_.ranks.size()});
    } catch (const std::exception& error) {
      if (!models::is_out_of_memory(error)) throw;
    }
    monitor_.free_caches();
    if (validation_tokens_ <= kFewestValidationTokens) {
      throw DeviceError("out of memory in the validation, one sample at a time: " + monitor_.describe() +
                        "; use a smaller --max-sequence-length or a larger --vram-budget-gib");
    }
    validation_tokens_ /= 2;
    log::warning(fmt::format("memory: validating {} tokens at a time", validation_tokens_));
    on_memory_change(fmt::format("validating {} tokens at a time", validation_tokens_));
  }
}

void Trainer::complete_pending_step() {
  if (!state_.pending) return;
  const StepMetrics metrics = *std::exchange(state_.pending, std::nullopt);
  finish_step(metrics);
}

void Trainer::save() {
  if (parts_.folder == nullptr) return;
  metrics_->sync();
  save_checkpoint(parts_.folder->checkpoints(), state_, metrics_->history(), parts_.decoder.config(), parts_.identity);
  publish_adapter(parts_.folder->newest_adapter(), state_.adapter, parts_.decoder.config(), parts_.identity.base);
  remove_old_checkpoints(parts_.folder->checkpoints(), state_.step, config_.keep_checkpoints);
  saved_step_ = state_.step;
}

// Saving may fail for the same reason; the first error is the one to report.
void Trainer::save_what_there_is() {
  try {
    if (saved_step_ != state_.step) save();
  } catch (const std::exception& error) {
    log::warning(fmt::format("the state of step {} is not saved: {}", state_.step, error.what()));
  }
}

void Trainer::finish(const std::string& stopped) {
  bar_.reset();
  if (parts_.folder == nullptr) return;
  log::info("memory: " + monitor_.describe());
  RunSummary summary =
      summarize(metrics_->history(), state_.adapter, config_.max_grad_norm, parts_.record.validation_since);
  summary.stopped = stopped;
  write_file_atomically(parts_.folder->summary(), to_json_text(summary));
  plot_training(metrics_->history(), state_.adapter.first_layer, parts_.folder->plot());
}

void Trainer::report(const StepMetrics& metrics) {
  const std::vector<double> gates = state_.adapter.gates();
  const auto open = std::count_if(gates.begin(), gates.end(), [](double gate) { return gate > 0.5; });
  const std::string detail = fmt::format(
      "loss {:.3f}  open gates {}/{}  lambda {:.3f}  {:.0f} tokens/s  {}", metrics.loss, open, gates.size(),
      metrics.triality_weight, metrics.tokens_per_second(), format_bytes(static_cast<double>(metrics.memory_bytes)));
  if (bar_) bar_->update(static_cast<std::uint64_t>(metrics.step), detail);
  if (metrics.skipped) log::warning(fmt::format("step {}: skipped, {}", metrics.step, *metrics.skipped));
  if (metrics.validation_loss)
    log::info(fmt::format("step {}: validation loss {:.4f}", metrics.step, *metrics.validation_loss));
  const bool small = metrics.weight_grad_rms > 0.0 && metrics.weight_grad_rms < 100.0 * config_.adam_epsilon;
  if (small && !std::exchange(warned_small_gradient_, true)) {
    log::warning(fmt::format(
        "step {}: the rotation gradient's root mean square {:.2e} is below 100 x --adam-epsilon; Adam damps it",
        metrics.step, metrics.weight_grad_rms));
  }
  if (bar_ || metrics.step % config_.log_every != 0) return;
  const std::int64_t here = metrics.step - first_step_;  // 0 for a step whose validation alone was left to do
  const std::string left = here > 0 ? format_duration(seconds_since(started_) / static_cast<double>(here) *
                                                      static_cast<double>(config_.max_steps - metrics.step)) +
                                          " left"
                                    : "";
  log::info(fmt::format("step {}/{}  {}  {}", metrics.step, config_.max_steps, detail, left));
}

void Trainer::stop_if_not_finite(const StepMetrics& metrics) const {
  if (skipped_in_a_row_ < kNotFiniteInARow) return;
  std::vector<std::string> names;
  for (const std::int64_t sample : suspects_) names.push_back(parts_.training.describe(sample));
  throw CheckError(
      fmt::format("step {}: the {} in a row that is not finite ({}); samples: {}. The last good checkpoint is intact: "
                  "look at these samples, or start anew in another --output-dir with lower learning rates",
                  metrics.step, skipped_in_a_row_ == 3 ? "third step" : fmt::format("{}th step", skipped_in_a_row_),
                  *metrics.skipped, fmt::join(names, ", ")));
}

// The other ranks learn of it from the step's message.
void Trainer::on_memory_change(const std::string& event) {
  memory_changed_ = true;
  record_memory_event(event);
}

void Trainer::record_memory_event(const std::string& event) {
  if (parts_.folder == nullptr) return;
  parts_.memory_events.push_back(fmt::format("step {}: {}", state_.step + 1, event));
  config_.checkpointing = std::to_string(recovery_.choices().recomputed_layers);
  parts_.folder->save_config(config_, parts_.record, recovery_.choices(), parts_.memory_events);
}

}  // namespace nkat::train
