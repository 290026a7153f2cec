#include "train/trainer.h"

#include <chrono>
#include <cmath>

#include "core/cli/log.h"

namespace nkat::train {
namespace {

using Clock = std::chrono::steady_clock;

// Checkpoints hold gates and forces as float32; rounding here keeps the metrics equal to them.
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

Trainer::Trainer(TrainConfig config, TrainingParts parts, TrainerState state)
    : config_(std::move(config)),
      parts_(std::move(parts)),
      state_(std::move(state)),
      control_(config_.control),
      schedule_(config_.rate_schedule()),
      sampler_(parts_.training.size(), static_cast<std::uint64_t>(config_.seed)),
      oom_fallback_(state_.adapter.count(), state_.settings.memory, parts_.monitor,
                    [this](const std::string& event) { on_memory_change(event); }) {}

ExitCode Trainer::run() {
  skipped_in_a_row_ = std::stoll(parts_.group.broadcast(std::to_string(parts_.recorder.skipped_in_a_row())));
  try {
    const ExitCode code = parts_.recorder.keep(state_, [this] { return run_steps(); });
    parts_.group.shutdown();
    return code;
  } catch (const RankMismatch&) {
    throw;
  } catch (const CheckError&) {  // met by all ranks
    parts_.group.shutdown();
    throw;
  }
}

ExitCode Trainer::run_steps() {
  try {
    if (state_.pending) {
      const StepMetrics metrics = *std::exchange(state_.pending, std::nullopt);
      finish_step(metrics);
    }
    parts_.recorder.begin(state_);
    while (state_.step < config_.max_steps && !ends_early_) {
      if (parts_.before_step) parts_.before_step(state_);
      finish_step(step());
    }
  } catch (const Interrupted&) {
    parts_.recorder.save_unless_saved(state_);
    return ExitCode::kInterrupted;
  }
  return ExitCode::kDone;
}

StepMetrics Trainer::step() {
  const auto started = Clock::now();
  parts_.monitor.begin_step();

  // Once per step: rotations, triality and M; the samples of the global batch.
  AdapterGradients adapter(state_.adapter, parts_.device);
  const GlobalBatch batch = next_batch();

  // Micro-batches: Σ losses and Σ dL/dM over all ranks. A signal leaves from here, before anything has changed.
  const StepResult result = all_reduce(parts_.group, accumulate(adapter, batch), std::ssize(batch.samples), digest());
  for (const int rank : result.changed_ranks) {
    if (rank == parts_.group.rank()) continue;
    parts_.recorder.add_memory_event(state_,
                                     fmt::format("rank {}: memory ran out; its own log says what it gave up", rank));
  }
  if (result.stop) throw Interrupted("stopped by a signal");

  // Chain rule to W and alpha, clipping, AdamW.
  StepMetrics metrics = update(adapter, batch, result);
  ++state_.step;
  metrics.memory_bytes = std::max(parts_.monitor.figures().peak_bytes, result.peak_bytes);
  metrics.step_seconds = std::chrono::duration<double>(Clock::now() - started).count();
  return metrics;
}

GlobalBatch Trainer::next_batch() {
  const BatchShape shape{.batch_size = config_.batch_size,
                         .accumulation = config_.gradient_accumulation,
                         .micro_batch_tokens = config_.packed_tokens(),
                         .rank = parts_.group.rank(),
                         .ranks = parts_.group.size()};
  GlobalBatch batch = assemble_batch(parts_.training, sampler_, shape, state_.step);
  if (control_ == Control::kShuffled)
    shuffle_targets(batch, parts_.training, static_cast<std::uint64_t>(config_.seed), state_.step);
  return batch;
}

StepResult Trainer::accumulate(AdapterGradients& adapter, const GlobalBatch& batch) {
  const double scale = 1.0 / static_cast<double>(batch.target_tokens);
  const auto run = [&](const models::PackedBatch& samples, const MemorySettings& settings) {
    return parts_.run_micro_batch(adapter.matrices(), samples.to(parts_.device), scale, settings);
  };
  StepResult result = accumulate_gradients(adapter, batch, [&](const models::PackedBatch& samples) {
    return oom_fallback_.run(samples, run, [&] { adapter.collect_gradients(); });
  });
  result.peak_bytes = parts_.monitor.figures().peak_bytes;
  result.memory_changed = std::exchange(memory_changed_, false);
  return result;
}

StepMetrics Trainer::update(const AdapterGradients& adapter, const GlobalBatch& batch, const StepResult& result) {
  const std::int64_t t = state_.step;
  const double lambda = triality_weight_at(t, config_.triality_weight, config_.annealing_warmup);
  auto [gradient, force] = adapter.backward(result.matrix_gradients, lambda, control_);
  const ClipResult clip = clip_by_global_norm(gradient, config_.max_grad_norm);
  const LearningRates rates{config_.learning_rate * schedule_.factor(t),
                            config_.alpha_learning_rate * schedule_.factor(t)};

  StepMetrics metrics{.step = t + 1,
                      .loss = result.loss_sum / static_cast<double>(batch.target_tokens),
                      .triality = adapter.triality(),
                      .triality_weight = lambda,
                      .tokens = batch.tokens,
                      .target_tokens = batch.target_tokens,
                      .grad_norm = clip.norm,
                      .weight_grad_rms = root_mean_square(gradient.weight),
                      .learning_rate = rates.weight,
                      .alpha_learning_rate = rates.alpha,
                      .alpha = alpha_values(state_.adapter),
                      .gate_force = as_float32(force)};
  if (std::isfinite(metrics.loss) && std::isfinite(clip.norm)) {
    adamw_update(state_.adapter, gradient, state_.optimizer, rates, config_.adam_epsilon);
    nonfinite_samples_.clear();
    return metrics;
  }
  metrics.skipped = std::isfinite(metrics.loss) ? "the gradient is not finite" : "the loss is not finite";
  metrics.gate_force.assign(metrics.gate_force.size(), std::nan(""));
  for (const std::int64_t index : result.nonfinite_samples)
    nonfinite_samples_.push_back(batch.samples[static_cast<std::size_t>(index)]);
  return metrics;
}

void Trainer::finish_step(StepMetrics metrics) {
  const bool last = metrics.step == config_.max_steps;
  if (last || metrics.step % config_.validate_every == 0) {
    try {
      if (parts_.validate) {
        metrics.validation_loss =
            parts_.validate(state_.adapter, [this](const std::string& event) { on_memory_change(event); });
      }
      conclude_validation(metrics);
    } catch (...) {
      state_.pending = metrics;
      throw;
    }
  }
  parts_.recorder.record(metrics, state_);
  skipped_in_a_row_ = metrics.skipped ? skipped_in_a_row_ + 1 : 0;
  check_finite(metrics);
  if (last || ends_early_ || metrics.step % config_.checkpoint_every == 0) {
    check_same_state();
    parts_.recorder.save(state_);
  }
}

// Rank 0 answers the sample prompts and says how the run goes on, while the others wait.
void Trainer::conclude_validation(const StepMetrics& metrics) {
  constexpr const char *kStop = "stop", *kEarly = "early";
  std::string word;
  try {
    if (parts_.answer_samples) parts_.recorder.record_samples(metrics.step, parts_.answer_samples(state_.adapter));
    if (parts_.recorder.ends_early(metrics, state_)) word = kEarly;
  } catch (const Interrupted&) {  // the others learn of it here
    word = kStop;
  }
  word = parts_.group.await_main(word);
  if (word == kStop) throw Interrupted("stopped by a signal");
  ends_early_ = word == kEarly;
}

void Trainer::check_finite(const StepMetrics& metrics) {
  if (skipped_in_a_row_ < data::kSkippedStepsToStop) return;
  std::vector<std::string> names;
  for (const std::int64_t sample : nonfinite_samples_) names.push_back(parts_.training.describe(sample));
  throw CheckError(
      fmt::format("step {}: {} steps in a row are not finite ({}); samples: {}. The last good checkpoint is intact: "
                  "look at these samples, or start a new run in another --output-dir with lower learning rates",
                  metrics.step, skipped_in_a_row_, *metrics.skipped, fmt::join(names, ", ")));
}

void Trainer::check_same_state() {
  if (parts_.group.size() == 1) return;
  std::vector<std::uint64_t> digests;
  for (const auto& of_rank : parts_.group.all_gather_integers({digest()})) digests.push_back(of_rank.front());
  check_consistent(digests, fmt::format("the state of step {}", state_.step));
  log::info(
      fmt::format("step {}: all {} ranks hold the same state, {:016x}", state_.step, digests.size(), digests.front()));
}

// The other ranks learn of it from the step's message.
void Trainer::on_memory_change(const std::string& event) {
  memory_changed_ = true;
  parts_.recorder.add_memory_event(state_, event);
}

}  // namespace nkat::train
