#include "train/train_command.h"

#include <nlohmann/json.hpp>

#include "core/cli/log.h"
#include "core/cli/progress.h"
#include "core/files/atomic_file.h"
#include "core/machine.h"
#include "core/signals.h"
#include "data/run/run_config.h"
#include "models/device.h"
#include "models/device_errors.h"
#include "models/model_folder.h"
#include "models/weights/base_fingerprint.h"
#include "train/distributed/setup.h"
#include "train/memory/tracking_allocator.h"
#include "train/plan_report.h"
#include "train/run/summary.h"
#include "train/run/training_plot.h"
#include "train/trainer.h"

namespace nkat::train {
namespace {

using SavedConfig = std::optional<nlohmann::ordered_json>;  // of the run in the folder

data::DatasetOptions dataset_options(const TrainConfig& config, const std::vector<std::string>& files,
                                     const models::Phi3Config& model) {
  data::DatasetOptions options = config.dataset;
  options.files = files;
  options.vocabulary_size = model.vocab_size;
  return options;
}

void log_dataset(const char* what, const data::DatasetSummary& s) {
  log::info(
      fmt::format("{}: {} samples, {} tokens, {} targets, longest {}; {} cut, {} dropped as overlong, {} without "
                  "target, {} bad lines",
                  what, s.samples, s.tokens, s.target_tokens, s.longest, s.truncated, s.dropped_overlong,
                  s.dropped_without_target, s.bad_records));
}

// Data and base must be those that the checkpoint was trained on.
void require_same_run(const RunIdentity& saved, const RunIdentity& now, const std::string& output_dir) {
  if (saved.data_sha256 != now.data_sha256) {
    throw DataError(
        fmt::format("{}: the run was started on other training data (SHA-256 {}, now {}); restore the files or use "
                    "another --output-dir",
                    output_dir, saved.data_sha256, now.data_sha256));
  }
  if (saved.seed != now.seed || (saved.window_samples > 0 && saved.window_samples != now.window_samples)) {
    throw DataError(
        fmt::format("{}: config.json and the newest checkpoint disagree about seed or window; restore the file or use "
                    "another --output-dir",
                    output_dir));
  }
  if (saved.base.base_sha256 != now.base.base_sha256) {
    throw DataError(fmt::format(
        "{}: the run was started on another base model (SHA-256 {}, now {}); use that one or another --output-dir",
        output_dir, saved.base.base_sha256, now.base.base_sha256));
  }
}

// Takes over the config that the run in the folder was started with.
void adopt_run(const SavedConfig& saved, TrainConfig& config, ResumeRecord& record, const OptionList& options) {
  if (!saved) return;
  if (config.resume == ResumePolicy::kNever) {
    throw ConfigError(fmt::format(
        "{}: there is a run already and --resume never was given; use another --output-dir or leave the option out",
        config.output_dir));
  }
  adopt_saved_config(config, record, *saved, options);
}

// The newest checkpoint of the run in the folder. No folder: a rank that doesn't read it.
std::optional<LoadedCheckpoint> find_checkpoint(const RunFolder* folder, const SavedConfig& saved,
                                                const models::Phi3Config& model) {
  if (!saved || folder == nullptr) return std::nullopt;
  auto checkpoint = load_newest_checkpoint(folder->checkpoints(), model);
  if (checkpoint) log::info(fmt::format("resuming from {}", checkpoint->path.string()));
  return checkpoint;
}

// What a kill after the last checkpoint may have left out.
void repeat_finish(const RunFolder& folder, const TrainConfig& config, const ResumeRecord& record,
                   const LoadedCheckpoint& checkpoint, const models::Phi3Config& model) {
  const MetricsLog metrics(folder.metrics(), checkpoint.state.step, checkpoint.state.adapter.count());
  publish_adapter(folder.newest_adapter(), checkpoint.state.adapter, model, checkpoint.identity.base);
  RunSummary summary =
      summarize(metrics.history(), checkpoint.state.adapter, config.max_grad_norm, record.validation_since);
  summary.stopped = "finished";
  write_file_atomically(folder.summary(), to_json_text(summary));
  if (!fs::exists(folder.plot())) plot_training(metrics.history(), checkpoint.state.adapter.first_layer, folder.plot());
  if (checkpoint.state.step > config.max_steps) {
    log::warning(fmt::format("{}: this run is at step {} already, beyond --max-steps {}; nothing is trained or undone",
                             config.output_dir, checkpoint.state.step, config.max_steps));
  } else {
    log::info(fmt::format("{}: this run is finished at step {}, --max-steps is {}; a larger one goes on",
                          config.output_dir, checkpoint.state.step, config.max_steps));
  }
}

// Losses on other data can't be compared: the best adapter is that of the data in use, from here on.
void adopt_validation_data(ResumeRecord& record, const std::string& sha256,
                           const std::optional<LoadedCheckpoint>& checkpoint) {
  if (checkpoint && !record.validation_sha256.empty() && record.validation_sha256 != sha256) {
    record.validation_since = checkpoint->state.step - (checkpoint->state.pending ? 1 : 0);
    log::warning(
        fmt::format("the validation data has changed: adapter-best/ and the summary count its losses after step {}",
                    record.validation_since));
  }
  record.validation_sha256 = sha256;
}

MemorySettings resolve_memory(TrainConfig& config, const SavedConfig& saved, const models::Phi3Config& model,
                              bool on_gpu) {
  const auto request = plan_request(model, config, config.precision == models::Precision::kBf16 ? 2 : 4, on_gpu);
  MemorySettings choices{.recomputed_layers = resolve_recomputed_layers(model, config, request),
                         .micro_batch_samples = config.window_samples(),
                         .batch_samples = config.batch_size};
  config.tokens_per_micro_batch = request.packed_tokens > 0 ? std::to_string(request.packed_tokens) : "none";
  config.checkpointing = std::to_string(choices.recomputed_layers);
  const data::RunFacts before = saved ? data::run_facts(*saved) : data::RunFacts{};
  const auto keep = [](const std::optional<std::int64_t>& value, std::int64_t& field) {
    if (value) field = std::clamp<std::int64_t>(*value, 1, field);
  };
  keep(before.micro_batch_samples, choices.micro_batch_samples);
  keep(before.head_rows, choices.head_rows);
  return choices;
}

// What the memory monitor changed before this start.
std::vector<std::string> saved_memory_events(const SavedConfig& saved) {
  return saved ? data::run_facts(*saved).memory_events : std::vector<std::string>{};
}

TrainerState fresh_state(const TrainConfig& config, const models::Phi3Config& model) {
  TrainerState state;
  const bool identity = config.control == Control::kIdentity;
  state.adapter = models::init_adapter(model, {.first_layer = config.first_adapter_layer,
                                               .alpha = config.alpha_init,
                                               .weight_std = identity ? 0.0 : config.weight_init_std,
                                               .seed = static_cast<std::uint64_t>(config.seed)});
  state.optimizer = OptimizerState::zeros_for(state.adapter);
  return state;
}

// Adapter and moments, the series of all steps, and some room for the JSON files.
std::uint64_t checkpoint_bytes(const TrainConfig& config, const models::Phi3Config& model) {
  const auto layers = static_cast<std::uint64_t>(model.num_layers - config.first_adapter_layer);
  return 4 * layers *
             (3 * static_cast<std::uint64_t>(model.hidden_size) * 8 +
              2 * static_cast<std::uint64_t>(config.max_steps)) +
         (1 << 16);
}

// One after the other on a machine, since the first makes the caches that the others read.
struct TrainingData {
  TrainingData(const TrainConfig& config, const models::Phi3Config& model, ProcessGroup& ranks) {
    ranks.wait_for_local_leader();
    const models::TextProcessor text = models::load_tokenizer_and_template(config.model_path, model);
    training.emplace(dataset_options(config, config.train_data, model), text.tokenizer, text.chat_template);
    log_dataset("training data", training->summary());
    if (!config.validation_data.empty()) {
      validation.emplace(dataset_options(config, {config.validation_data}, model), text.tokenizer, text.chat_template);
      log_dataset("validation data", validation->summary());
    }
    identity = {.base = {config.model_path, models::base_sha256(config.model_path),
                         models::norms_sha256(config.model_path, model)},
                .data_sha256 = training->summary().sha256,
                .seed = static_cast<std::uint64_t>(config.seed),
                .window_samples = config.window_samples()};
    ranks.release_local_ranks();
  }

  std::optional<data::Dataset> training;
  std::optional<data::Dataset> validation;
  RunIdentity identity;
};

std::unique_ptr<ProcessGroup> start_ranks(const TrainConfig& config) {
  std::unique_ptr<ProcessGroup> ranks = init_process_group(config);
  if (ranks->size() > 1) log::set_prefix(fmt::format("rank {}: ", ranks->rank()));
  if (!ranks->writes()) log::set_level(log::Level::kWarning);
  return ranks;
}

ExitCode train_on(ProcessGroup& ranks, const TrainConfig& config, const TrainingParts& parts, TrainerState state,
                  const MemorySettings& choices) {
  ranks.open_group(parts.decoder.device());
  broadcast_state(ranks, state);
  Trainer trainer(config, parts, std::move(state), choices);
  const ExitCode code = trainer.run();
  if (!ranks.writes()) return code;
  if (code == ExitCode::kInterrupted) {
    log::warning(
        fmt::format("stopped by a signal, everything is saved in {}; the same command goes on", config.output_dir));
  } else {
    log::info(fmt::format("done: {} (adapter/, summary.json, training.png)", config.output_dir));
  }
  return code;
}

ExitCode start_training(TrainConfig config, const OptionList& options) {
  install_stop_signals();
  install_tracking_allocator();
  const std::unique_ptr<ProcessGroup> ranks = start_ranks(config);
  const std::string asked_device = rank_device(config.device, ranks->environment());
  const models::Phi3Config model = models::read_phi3_config(config.model_path);
  limit_default_length(config, model.max_position_embeddings, options);
  std::optional<RunFolder> own_folder;
  if (ranks->writes()) own_folder.emplace(config.output_dir);
  const RunFolder* folder = own_folder ? &*own_folder : nullptr;
  ResumeRecord record{.requested_checkpointing = config.checkpointing, .ranks = ranks->size()};
  const SavedConfig saved = broadcast_json(*ranks, folder != nullptr ? folder->saved_config() : std::nullopt);
  adopt_run(saved, config, record, options);
  auto checkpoint = find_checkpoint(folder, saved, model);
  const bool finished = checkpoint && checkpoint->state.step >= config.max_steps && !checkpoint->state.pending;
  if (broadcast_flag(*ranks, finished)) {
    if (folder != nullptr) repeat_finish(*folder, config, record, *checkpoint, model);
    ranks->shutdown();
    return ExitCode::kDone;
  }

  if (ranks->size() > 1) config.device = asked_device;
  const at::Device device = models::resolve_device(config.device);
  const at::ScalarType precision = models::resolve_precision(config.precision, device);
  config.device = device.str();
  config.precision = models::precision_of(precision);
  const MemorySettings choices = resolve_memory(config, saved, model, device.is_cuda());

  const TrainingData data(config, model, *ranks);
  const std::string validation_sha256 = data.validation ? data.validation->summary().sha256 : "";
  if (data.validation) adopt_validation_data(record, validation_sha256, checkpoint);
  if (checkpoint) require_same_run(checkpoint->identity, data.identity, config.output_dir);
  require_same_run(*ranks, config, data.identity, validation_sha256);
  const std::vector<std::string> memory_events = saved_memory_events(saved);
  if (folder != nullptr) {
    folder->require_free_space(3 * checkpoint_bytes(config, model));
    folder->save_config(config, record, choices, memory_events);
  }

  const models::Decoder decoder = models::open_decoder(
      config.model_path, model, {.dtype = precision, .device = device, .forms = models::formats_of(config.base)});
  log::info(fmt::format("{} on {}, {} of {} layers recompute, {} tokens a micro-batch, budget {:.2f} GiB",
                        models::precision_name(precision), config.device, choices.recomputed_layers,
                        model.num_layers - config.first_adapter_layer, config.tokens_per_micro_batch,
                        config.vram_budget_gib));
  if (checkpoint) set_aside_later_checkpoints(folder->checkpoints(), checkpoint->state.step);
  const TrainingParts parts{.decoder = decoder,
                            .training = *data.training,
                            .validation = data.validation ? &*data.validation : nullptr,
                            .ranks = *ranks,
                            .folder = folder,
                            .identity = data.identity,
                            .record = record,
                            .saved_step = checkpoint ? checkpoint->state.step : -1,
                            .memory_events = memory_events};
  return train_on(*ranks, config, parts, checkpoint ? std::move(checkpoint->state) : fresh_state(config, model),
                  choices);
}

ExitCode run_train(const TrainConfig& config, const OptionList& options) {
  try {
    return start_training(config, options);
  } catch (...) {
    models::rethrow_memory_as_device_error("nkat train");
  }
}

}  // namespace

Command make_train_command() {
  auto config = std::make_shared<TrainConfig>();
  Command command{.name = "train",
                  .summary = "trains an adapter on a frozen Phi-3 model; the same command resumes a run"};
  command.description =
      "Trains one rotation per block of eight channels and one gate per layer. Ctrl-C saves everything; the same "
      "command resumes from there.\n"
      "An optimizer step takes --batch-size x --gradient-accumulation samples; its loss is divided by their target "
      "tokens.";
  declare_options(*command.options, *config, /*for_plan=*/false);
  command.uses_tensors = true;
  command.run = [config, options = command.options] { return run_train(*config, *options); };
  return command;
}

}  // namespace nkat::train
