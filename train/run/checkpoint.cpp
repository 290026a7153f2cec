#include "train/run/checkpoint.h"

#include <torch/version.h>

#include "core/cli/log.h"
#include "core/error.h"
#include "core/files/atomic_file.h"
#include "core/message.h"
#include "core/version.h"
#include "data/formats/safetensors.h"
#include "data/run/checkpoint_files.h"
#include "models/weights/tensor_io.h"

namespace nkat::train {
namespace {

// The four moment tensors by name, for reading and writing.
template <class State>
auto named_moments(State& state) {
  return std::vector{std::pair{data::kFirstMomentWeight, &state.first_moment.weight},
                     std::pair{data::kFirstMomentAlpha, &state.first_moment.alpha},
                     std::pair{data::kSecondMomentWeight, &state.second_moment.weight},
                     std::pair{data::kSecondMomentAlpha, &state.second_moment.alpha}};
}

// (steps, A) float32: row i is from line i+1.
at::Tensor series(const std::vector<StepMetrics>& lines, std::int64_t count, std::vector<double> StepMetrics::*values) {
  at::Tensor table = at::empty({static_cast<std::int64_t>(lines.size()), count}, at::kFloat);
  float* out = table.data_ptr<float>();
  for (const StepMetrics& line : lines) {
    NKAT_INVARIANT(static_cast<std::int64_t>((line.*values).size()) == count);
    for (const double value : line.*values) *out++ = static_cast<float>(value);
  }
  return table;
}

std::string state_tensors(const TrainerState& state, const std::vector<StepMetrics>& lines,
                          const RunIdentity& identity) {
  std::vector<data::TensorToWrite> tensors;
  for (const auto& [name, tensor] : named_moments(state.optimizer))
    tensors.push_back(models::float32_to_write(name, *tensor));
  const at::Tensor alpha = series(lines, state.adapter.count(), &StepMetrics::alpha);
  const at::Tensor force = series(lines, state.adapter.count(), &StepMetrics::gate_force);
  tensors.push_back(models::float32_to_write(data::kAlphaSeries, alpha));
  tensors.push_back(models::float32_to_write(data::kGateForceSeries, force));
  const std::array<std::uint64_t, 2> random_state = {identity.seed, static_cast<std::uint64_t>(state.step)};
  tensors.push_back({data::kRandomState, data::DType::kU64, {2}, std::as_bytes(std::span(random_state))});
  return data::serialize_safetensors(tensors, {{"format", "pt"}});
}

std::string state_json(const TrainerState& state, const RunIdentity& identity) {
  return data::trainer_state_text({.step = state.step,
                                   .data_position = state.step * identity.batch_samples,
                                   .updates = state.optimizer.updates,
                                   .seed = identity.seed,
                                   .data_sha256 = identity.data_sha256,
                                   .base_sha256 = identity.base.base_sha256,
                                   .program = kVersion,
                                   .libtorch = TORCH_VERSION,
                                   .pending_metrics = state.pending});
}

// File name to bytes, of every file but the manifest.
std::map<std::string, std::string> checkpoint_files(const TrainerState& state, const std::vector<StepMetrics>& history,
                                                    const models::ModelConfig& config, const RunIdentity& identity) {
  std::vector<StepMetrics> lines = history;
  if (state.pending) lines.push_back(*state.pending);
  NKAT_INVARIANT(static_cast<std::int64_t>(lines.size()) == state.step);
  auto files = models::serialize_adapter(state.adapter, config, identity.base);
  files[data::kStateTensors] = state_tensors(state, lines, identity);
  files[data::kStateJson] = state_json(state, identity);
  return files;
}

void load_moments(const fs::path& path, TrainerState& state) {
  const data::SafetensorsFile file(path);
  state.optimizer = OptimizerState::zeros_for(state.adapter);
  for (const auto& [name, tensor] : named_moments(state.optimizer))
    *tensor = models::read_float32(file, name, tensor->sizes());
}

void take_saved_state(data::SavedTrainerState saved, LoadedCheckpoint& loaded) {
  loaded.state.step = saved.step;
  loaded.state.optimizer.updates = saved.updates;
  loaded.state.pending = std::move(saved.pending_metrics);
  loaded.identity.seed = saved.seed;
  loaded.identity.data_sha256 = std::move(saved.data_sha256);
  loaded.identity.batch_samples = saved.step > 0 ? saved.data_position / saved.step : 0;
}

// Renamed first, so that readers never see a partial folder; the fixed name also collects the leftovers of a crash.
void take_away(const fs::path& folder) {
  const fs::path aside = folder.parent_path() / "removed";
  std::error_code error;
  fs::remove_all(aside, error);
  fs::rename(folder, aside, error);
  if (!error) fs::remove_all(aside, error);
  if (error) log::warning(fmt::format("{}: can't be removed: {}", folder.string(), error.message()));
}

}  // namespace

void save_checkpoint(const fs::path& checkpoints, const TrainerState& state, const std::vector<StepMetrics>& history,
                     const models::ModelConfig& config, const RunIdentity& identity) {
  AtomicFolder folder(data::checkpoint_path(checkpoints, state.step));
  const auto files = checkpoint_files(state, history, config, identity);
  for (const auto& [name, bytes] : files) folder.write(name, bytes);
  folder.write(data::kManifest, data::manifest_text(files));
  // Read back before it counts: what the disk holds is what the manifest says.
  data::verify_manifest(folder.temporary_path());
  folder.publish();
}

LoadedCheckpoint load_checkpoint(const fs::path& path, const models::ModelConfig& config) {
  data::verify_manifest(path);
  // First, since its version decides how the other files are read.
  data::SavedTrainerState saved = data::read_trainer_state(path);
  LoadedCheckpoint loaded;
  loaded.path = path;
  auto [adapter, base] = models::load_adapter(path, config);
  loaded.state.adapter = std::move(adapter);
  loaded.identity.base = std::move(base);
  load_moments(path / data::kStateTensors, loaded.state);
  take_saved_state(std::move(saved), loaded);
  if (data::checkpoint_path(path.parent_path(), loaded.state.step) != path) {
    throw FormatError(
        fmt::format("{}: {}", path.string(),
                    expected("the checkpoint of the step that the folder's name says",
                             fmt::format("step {}", loaded.state.step), "the folder was renamed or mixed up")));
  }
  return loaded;
}

std::optional<LoadedCheckpoint> load_newest_checkpoint(const fs::path& checkpoints, const models::ModelConfig& config) {
  const std::vector<std::int64_t> steps = data::saved_steps(checkpoints);
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    try {
      return load_checkpoint(data::checkpoint_path(checkpoints, *step), config);
    } catch (const ShapeError&) {
      throw;  // the model is another one; an older checkpoint would not fit either
    } catch (const NewerFormatError&) {
      throw;  // resuming from an older one would set this one aside
    } catch (const Error& error) {
      log::warning(fmt::format("passing over a damaged checkpoint: {}", error.what()));
    }
  }
  if (steps.empty()) return std::nullopt;
  throw DataError(
      fmt::format("{}: all {} checkpoints are damaged; use another --output-dir", checkpoints.string(), steps.size()));
}

void remove_old_checkpoints(const fs::path& checkpoints, std::int64_t newest_step, std::int64_t keep) {
  std::vector<std::int64_t> steps = data::saved_steps(checkpoints);
  std::erase_if(steps, [&](std::int64_t step) { return step == 0 || step > newest_step; });
  if (keep == 0) return;
  for (std::size_t i = 0; i + static_cast<std::size_t>(keep) < steps.size(); ++i)
    take_away(data::checkpoint_path(checkpoints, steps[i]));
}

void set_aside_later_checkpoints(const fs::path& checkpoints, std::int64_t step) {
  for (const std::int64_t later : data::saved_steps(checkpoints)) {
    if (later <= step) continue;
    const fs::path from = data::checkpoint_path(checkpoints, later);
    const fs::path to = checkpoints / ("damaged-" + from.filename().string());
    std::error_code error;
    fs::remove_all(to, error);
    fs::rename(from, to, error);
    if (error) throw DeviceError(fmt::format("{}: can't be renamed: {}", from.string(), error.message()));
    log::warning(fmt::format("set aside as {}", to.string()));
  }
}

void publish_adapter(const fs::path& folder, const models::Adapter& adapter, const models::ModelConfig& config,
                     const models::BaseFingerprint& base) {
  AtomicFolder files(folder);
  for (const auto& [name, bytes] : models::serialize_adapter(adapter, config, base)) files.write(name, bytes);
  files.publish();
}

}  // namespace nkat::train
