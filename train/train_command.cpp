#include "core/cli/log.h"
#include "core/cli/progress.h"
#include "core/message.h"
#include "core/signals.h"
#include "data/datasets/data_check.h"
#include "models/device.h"
#include "models/model_folder.h"
#include "models/model_source.h"
#include "models/model_summary.h"
#include "models/weights/base_fingerprint.h"
#include "train/commands.h"
#include "train/memory/tracking_allocator.h"
#include "train/plan_report.h"
#include "train/run/fault_injection.h"
#include "train/run/resume.h"
#include "train/sample_answers.h"
#include "train/trainer.h"
#include "train/validation_loss.h"

namespace nkat::train {
namespace {

data::DatasetOptions dataset_options(const TrainConfig& config, const std::vector<std::string>& files,
                                     const models::ModelConfig& model) {
  data::DatasetOptions options = config.dataset;
  options.files = files;
  options.vocabulary_size = model.vocab_size;
  return options;
}

// One rank of a machine after the other, since the first makes the caches that the others read.
struct TrainingData {
  TrainingData(const TrainConfig& config, const models::ModelConfig& model, ProcessGroup& group, bool resumed) {
    group.wait_for_local_leader();
    text.emplace(models::load_tokenizer_and_template(config.model_path, model));
    if (group.is_main() && !config.sample_prompts.empty())
      sample_prompts = read_sample_prompts(config.sample_prompts, *text, model);
    const std::string template_name = text->chat_template.name();
    training.emplace(dataset_options(config, config.train_data, model), text->tokenizer, text->chat_template);
    data::log_dataset(*training, text->tokenizer,
                      {.name = "training data", .template_name = template_name, .with_sample = !resumed});
    if (!config.validation_data.empty()) {
      validation.emplace(dataset_options(config, {config.validation_data}, model), text->tokenizer,
                         text->chat_template);
      data::log_dataset(*validation, text->tokenizer,
                        {.name = "validation data", .template_name = template_name, .with_sample = false});
    }
    identity = {.base = {config.model_path, models::base_sha256(config.model_path),
                         models::norms_sha256(config.model_path, model)},
                .data_sha256 = training->summary().sha256,
                .seed = static_cast<std::uint64_t>(config.seed),
                .batch_samples = config.global_batch_samples()};
    group.release_local_ranks();
  }
  std::string validation_sha256() const { return validation ? validation->summary().sha256 : ""; }

  std::optional<models::TextProcessor> text;
  std::vector<SamplePrompt> sample_prompts;  // of rank 0
  std::optional<data::Dataset> training;
  std::optional<data::Dataset> validation;
  RunIdentity identity;
};

std::unique_ptr<ProcessGroup> init_process_group(const TrainConfig& config) {
  const auto environment = rank_environment();
  if (!environment) return std::make_unique<ProcessGroup>();
  if (config.global_batch_samples() < environment->size) {
    throw ConfigError(fmt::format("{} ranks: {}", environment->size,
                                  expected("a global batch of at least one sample for each",
                                           fmt::format("{} samples", config.global_batch_samples()),
                                           "use fewer ranks, or a larger --gradient-accumulation")));
  }
  auto group = std::make_unique<ProcessGroup>(*environment, std::chrono::seconds(config.rank_timeout));
  if (group->size() > 1) log::set_prefix(fmt::format("rank {}: ", group->rank()));
  if (!group->is_main()) log::set_level(log::Level::kWarning);
  return group;
}

// What `auto` stands for, in the options and in the settings, which keep what an earlier start has given up.
void resolve_memory(TrainConfig& config, MemorySettings& settings, const models::ModelConfig& model, bool on_gpu) {
  const auto request = plan_request(model, config, config.precision == models::Precision::kBf16 ? 2 : 4, on_gpu);
  settings.recomputed_layers = resolve_recomputed_layers(model, config, request);
  settings.micro_batch_samples =
      std::clamp<std::int64_t>(settings.micro_batch_samples, 1, config.global_batch_samples());
  settings.head_rows = std::clamp<std::int64_t>(settings.head_rows, 1, MemorySettings().head_rows);
  settings.batch_samples = config.batch_size;
  config.tokens_per_micro_batch = request.packed_tokens > 0 ? std::to_string(request.packed_tokens) : "none";
  config.checkpointing = std::to_string(settings.recomputed_layers);
}

// Adapter and moments, the series of all steps, and some room for the JSON files.
std::uint64_t checkpoint_bytes(const TrainConfig& config, const models::ModelConfig& model) {
  const auto layers = static_cast<std::uint64_t>(model.num_layers - config.first_adapter_layer);
  return 4 * layers *
             (3 * static_cast<std::uint64_t>(model.hidden_size) * 8 +
              2 * static_cast<std::uint64_t>(config.max_steps)) +
         (1 << 16);
}

// The run with everything resolved and checked, on one rank.
struct PreparedRun {
  const TrainConfig& config;
  const models::Decoder& decoder;
  const TrainingData& data;
  const RunFolder* folder;
  ProcessGroup& group;
};

ExitCode run_training(const PreparedRun& run, RunStart start) {
  const models::Decoder& decoder = run.decoder;
  run.group.open(decoder.device());
  broadcast_state(run.group, start.state);
  MemoryMonitor monitor(decoder.device(), static_cast<std::uint64_t>(run.config.vram_budget_gib * kGiB));
  RunRecorder recorder(run.config,
                       {.folder = run.folder,
                        .model = decoder.config(),
                        .identity = run.data.identity,
                        .saved_step = start.saved_step()},
                       start.state, monitor);
  TrainingParts parts{
      .training = *run.data.training,
      .group = run.group,
      .monitor = monitor,
      .recorder = recorder,
      .device = decoder.device(),
      .run_micro_batch = [&](const auto&... arguments) { return run_micro_batch(decoder, arguments...); }};
  if (run.data.validation) parts.validate = ValidationLoss(decoder, *run.data.validation, run.group, monitor);
  if (!run.data.sample_prompts.empty()) {
    parts.answer_samples = [&](const models::Adapter& adapter) {
      return answer_samples(decoder, adapter, run.data.text->tokenizer, run.data.sample_prompts, monitor);
    };
  }
  FaultInjection faults = FaultInjection::from_environment();
  if (!faults.empty()) {
    parts.run_micro_batch = faults.decorate(std::move(parts.run_micro_batch));
    parts.before_step = [&](TrainerState& state) { faults.begin_step(state); };
  }
  const ExitCode code = Trainer(run.config, std::move(parts), std::move(start.state)).run();
  if (!run.group.is_main()) return code;
  if (code == ExitCode::kInterrupted) {
    log::warning(fmt::format("stopped by a signal, everything is saved in {}; the same command continues",
                             run.config.output_dir));
  } else {
    log::info(fmt::format("done: {} (adapter/, summary.json, training.png)", run.config.output_dir));
  }
  return code;
}

// A run that is at its end already, as rank 0 sees it: its end is repeated, and all ranks are done.
bool repeats_end(bool at_end, const RunFolder* folder, const TrainConfig& config, const RunStart& start,
                 const models::ModelConfig& model, ProcessGroup& group) {
  if (group.broadcast(at_end ? "end" : "").empty()) return false;
  if (folder != nullptr) repeat_finish(*folder, config, start.state, model, start.identity->base);
  group.shutdown();
  return true;
}

ExitCode prepare_and_train(TrainConfig config, const OptionList& options) {
  install_stop_signals();
  install_tracking_allocator();
  const std::unique_ptr<ProcessGroup> group = init_process_group(config);
  const std::string device_of_rank = rank_device(config.device, group->environment());
  const models::ModelConfig model = models::open_model_config(config.model_path);
  limit_default_length(config, model.max_position_embeddings, options);
  std::optional<RunFolder> own_folder;
  if (group->is_main()) own_folder.emplace(config.output_dir);
  const RunFolder* folder = own_folder ? &*own_folder : nullptr;

  // The run in the folder.
  RunStart start = find_start(folder, *group, config, options, model);
  const bool finished = start.identity && start.state.step >= config.max_steps && !start.state.pending;
  if (repeats_end(finished, folder, config, start, model, *group)) return ExitCode::kDone;

  // What `auto` stands for.
  if (group->size() > 1) config.device = device_of_rank;
  const at::Device device = models::resolve_device(config.device);
  const at::ScalarType precision = models::resolve_precision(config.precision, device);
  config.device = device.str();
  config.precision = models::precision_of(precision);
  resolve_memory(config, start.state.settings.memory, model, device.is_cuda());

  // The data; nothing is written before they are known to be the run's.
  const TrainingData data(config, model, *group, /*resumed=*/start.identity.has_value());
  adopt_validation_data(start, data.validation_sha256());
  require_same_run(start, data.identity, config.output_dir);
  require_same_on_all_ranks(*group, config, data.identity, data.validation_sha256());
  const bool ended_early = start.identity && has_ended_early(*folder, config, start.state);
  if (repeats_end(ended_early, folder, config, start, model, *group)) return ExitCode::kDone;
  if (folder != nullptr) {
    folder->require_free_space(3 * checkpoint_bytes(config, model));
    folder->save_config(config, start.state.settings);
  }

  models::ModelConfig answering = model;  // sample answers end as those of `nkat generate` do
  models::end_answers_with_turns(answering, data.text->chat_template, data.text->tokenizer);
  const models::Decoder decoder = models::open_decoder(
      config.model_path, answering, {.dtype = precision, .device = device, .forms = models::formats_of(config.base)});
  log::info(fmt::format("{} on {}, {} of {} layers recompute, {} tokens per micro-batch, budget {:.2f} GiB",
                        models::precision_name(precision), config.device, start.state.settings.memory.recomputed_layers,
                        model.num_layers - config.first_adapter_layer, config.tokens_per_micro_batch,
                        config.vram_budget_gib));
  log::info(models::adapter_line(model, config.first_adapter_layer));
  if (start.identity) set_aside_later_checkpoints(folder->checkpoints(), start.state.step);
  return run_training({config, decoder, data, folder, *group}, std::move(start));
}

ExitCode run_train(const TrainConfig& config, const OptionList& options) {
  try {
    return prepare_and_train(config, options);
  } catch (...) {
    models::rethrow_memory_as_device_error("nkat train");
  }
}

}  // namespace

Command make_train_command() {
  auto config = std::make_shared<TrainConfig>();
  Command command{.name = "train", .summary = "trains an adapter on a frozen model, or resumes its run"};
  command.description =
      "Trains one rotation per block of eight channels and one gate per layer. Ctrl-C saves everything; the same "
      "command continues from there.\n"
      "A step's global batch is --batch-size x --gradient-accumulation samples; its loss is divided by its target "
      "tokens.";
  declare_options(*command.options, *config, /*for_plan=*/false);
  command.uses_tensors = true;
  command.run = [config, options = command.options] { return run_train(*config, *options); };
  return command;
}

}  // namespace nkat::train
