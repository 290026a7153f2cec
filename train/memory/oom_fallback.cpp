#include "train/memory/oom_fallback.h"

#include "core/cli/log.h"
#include "core/error.h"
#include "core/message.h"
#include "models/device.h"

namespace nkat::train {
namespace {

constexpr std::int64_t kSmallestHeadRows = 16;

}  // namespace

OomFallback::OomFallback(std::int64_t trained_layers, MemorySettings& settings, const MemoryMonitor& monitor,
                         OnChange on_change)
    : trained_layers_(trained_layers), settings_(settings), monitor_(monitor), on_change_(std::move(on_change)) {}

double OomFallback::run(const models::PackedBatch& packed, const Run& run, const Discard& discard) {
  const auto samples = static_cast<std::int64_t>(packed.lengths.size());
  for (;;) {
    std::string reason;
    try {
      const double loss = run_pieces(packed, run);
      if (!monitor_.above_budget()) return loss;
      reason = "above the budget: " + monitor_.describe();
    } catch (const std::exception& error) {
      if (!models::is_out_of_memory(error)) throw;
      reason = error.what();
    }
    // Outside the handler, which still holds tensors of the failed attempt.
    discard();
    monitor_.free_caches();
    log::warning("out of memory: " + first_line(reason));
    if (!apply_fallback(samples)) throw DeviceError(exhausted(samples));
  }
}

double OomFallback::run_pieces(const models::PackedBatch& packed, const Run& run) const {
  if (static_cast<std::int64_t>(packed.lengths.size()) <= settings_.micro_batch_samples) return run(packed, settings_);
  const auto [first, second] = models::split_in_half(packed);
  return run_pieces(first, run) + run_pieces(second, run);
}

bool OomFallback::apply_fallback(std::int64_t samples) {
  std::string event;
  const std::int64_t together = std::min(settings_.micro_batch_samples, samples);
  const auto split_down_to = [&](std::int64_t fewest) {
    settings_.micro_batch_samples = std::max(fewest, together / 2);
    event = fmt::format("splitting micro-batches to {} samples", settings_.micro_batch_samples);
  };
  if (together > settings_.batch_samples) {
    split_down_to(settings_.batch_samples);
  } else if (settings_.recomputed_layers < trained_layers_) {
    settings_.recomputed_layers =
        std::min(trained_layers_, settings_.recomputed_layers + std::max<std::int64_t>(1, trained_layers_ / 4));
    event = fmt::format("recomputing {} of {} layers", settings_.recomputed_layers, trained_layers_);
  } else if (together > 1) {
    split_down_to(1);
  } else if (settings_.head_rows > kSmallestHeadRows) {
    settings_.head_rows /= 2;
    event = fmt::format("computing logits of {} rows at a time", settings_.head_rows);
  } else {
    return false;
  }
  log::warning("memory: " + event);
  on_change_(event);
  return true;
}

std::string OomFallback::exhausted(std::int64_t samples) const {
  return fmt::format(
      "out of memory, all fallbacks exhausted:\n  recomputed layers   {} of {}\n  samples at a time   1 of {}\n  "
      "logit rows at once  {}\n  "
      "memory              {}\nUse a smaller --max-sequence-length, a larger --vram-budget-gib, or "
      "--first-adapter-layer; `nkat plan` prints what fits",
      settings_.recomputed_layers, trained_layers_, samples, settings_.head_rows, monitor_.describe());
}

}  // namespace nkat::train
