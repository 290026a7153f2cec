// A run for unit tests: a dataset of a few samples, a run folder, and a micro-batch that needs no model.
#pragma once

#include <string>

#include <ATen/ops/full_like.h>

#include "models/adapter.h"
#include "tests/support/tiny_dataset.h"
#include "tests/support/tiny_model.h"
#include "train/run/resume.h"
#include "train/run/run_recorder.h"
#include "train/trainer.h"

namespace nkat::train {

class TinyRun {
 public:
  // A step has 3 micro-batches of 2 samples.
  TinyRun() {
    config.output_dir = path().string();
    config.max_steps = 4;
    config.batch_size = 2;
    config.gradient_accumulation = 3;
    config.checkpoint_every = 50;
    config.validate_every = 1;
    config.checkpointing = "0";
    config.tokens_per_micro_batch = "none";
    config.alpha_init = 0.0;
    config.weight_init_std = 0.0;
    config.triality_weight = 0.0;
    config.learning_rate = config.alpha_learning_rate = 0.01;
    std::string lines;
    for (int i = 1; i <= 5; ++i) lines += "{\"text\":\"hello" + std::string(static_cast<std::size_t>(i), 'a') + "\"}\n";
    dataset_.emplace(nkat::testing::tiny_dataset(folder_, lines));
  }

  fs::path path() const { return folder_.path() / "run"; }
  fs::path checkpoint(std::int64_t step) const { return data::checkpoint_path(path() / "checkpoints", step); }
  TrainerState saved_state(std::int64_t step) const {
    return load_checkpoint(checkpoint(step), nkat::testing::tiny_config()).state;
  }
  std::vector<StepMetrics> metrics() const {
    std::vector<StepMetrics> lines;
    std::istringstream text(read_file(path() / "metrics.jsonl", 1 << 20));
    for (std::string line; std::getline(text, line);) lines.push_back(data::parse_metrics_line(line, "metrics"));
    return lines;
  }

  // Two nats and a dM of ones per target, so that a step has loss 2 and dM = 1 however it is split.
  static double two_nats_per_target(const std::vector<at::Tensor>& matrices, const models::PackedBatch& samples,
                                    double scale, const MemorySettings&) {
    const auto targets = static_cast<double>(samples.target_count());
    for (const at::Tensor& matrix : matrices) {
      const at::Tensor gradient = at::full_like(matrix.detach(), scale * targets);
      at::Tensor& sum = matrix.mutable_grad();
      sum = sum.defined() ? sum + gradient : gradient;
    }
    return 2.0 * targets;
  }

  // Starts or resumes the run in path() and trains.
  ExitCode train(const MicroBatchFunction& run_micro_batch = two_nats_per_target) {
    const RunFolder folder(path());
    ProcessGroup alone;
    TrainConfig resolved = config;
    OptionList options;
    TrainConfig defaults;
    declare_options(options, defaults, /*for_plan=*/false);
    RunStart start = find_start(&folder, alone, resolved, options, model_);
    start.state.settings.memory.batch_samples = config.batch_size;
    folder.save_config(resolved, start.state.settings);
    MemoryMonitor monitor(at::kCPU, 0);
    RunRecorder recorder(resolved,
                         {.folder = &folder, .model = model_, .identity = identity, .saved_step = start.saved_step()},
                         start.state, monitor);
    Trainer trainer(resolved,
                    {.training = *dataset_,
                     .group = alone,
                     .monitor = monitor,
                     .recorder = recorder,
                     .device = at::kCPU,
                     .run_micro_batch = run_micro_batch,
                     .validate = validate,
                     .answer_samples = answer_samples},
                    std::move(start.state));
    try {
      const ExitCode code = trainer.run();
      last = trainer.state();
      return code;
    } catch (...) {
      last = trainer.state();
      throw;
    }
  }

  TrainConfig config;
  RunIdentity identity{.base = {"model", std::string(64, 'a')}, .data_sha256 = "data", .batch_samples = 6};
  std::function<double(const models::Adapter&, const OomFallback::OnChange&)> validate;
  std::function<std::vector<SampleAnswer>(const models::Adapter&)> answer_samples;
  TrainerState last;  // after train()

 private:
  nkat::testing::TemporaryFolder folder_;
  models::ModelConfig model_ = nkat::testing::tiny_config();
  std::optional<data::Dataset> dataset_;
};

}  // namespace nkat::train
