#include "export/merge/export_source.h"

#include <limits>

#include <fmt/format.h>

#include "core/cli/log.h"
#include "core/error.h"
#include "core/files/sha256.h"
#include "core/message.h"
#include "data/run/checkpoint_files.h"
#include "export/merge/merged_weights.h"
#include "models/adapter.h"
#include "models/weights/base_fingerprint.h"
#include "models/weights/weight_source.h"

namespace nkat::exporting {
namespace {

constexpr std::uint64_t kAdapterLimit = std::uint64_t{1} << 32;

AdapterMatrices host_matrices(const models::Adapter& adapter, const models::ModelConfig& config) {
  AdapterMatrices matrices;
  const std::vector<at::Tensor> layers = adapter.matrices(at::kCPU);
  for (std::int64_t layer = adapter.first_layer; layer < config.num_layers; ++layer) {
    const at::Tensor values = layers[static_cast<std::size_t>(layer)].contiguous();
    const float* begin = values.const_data_ptr<float>();
    const std::vector<float> blocks(begin, begin + values.numel());
    if (const auto bias = models::down_bias(config, layer)) matrices[bias->name] = blocks;
    matrices[models::model_tensor(config, models::TensorRole::kDown, layer).name] = blocks;
  }
  return matrices;
}

// The step of a checkpoint; a plain adapter folder doesn't name one.
std::optional<std::uint32_t> training_step(const fs::path& folder) {
  if (!fs::exists(folder / data::kStateJson)) return std::nullopt;
  const std::int64_t step = data::read_saved_step(folder).step;
  if (step > std::numeric_limits<std::uint32_t>::max()) {
    throw FormatError(fmt::format(
        "{}: key 'step': {}", (folder / data::kStateJson).string(),
        expected(fmt::format("at most {}", std::numeric_limits<std::uint32_t>::max()), std::to_string(step))));
  }
  return static_cast<std::uint32_t>(step);
}

void check_base(const AdapterParts& adapter, const std::string& base, const ExportOptions& options) {
  const std::string& trained_on = adapter.provenance.trained_on;
  if (trained_on == base) return;
  if (!options.allow_base_mismatch) {
    throw DataError(fmt::format(
        "{}: this adapter was trained on a base with SHA-256 {} ({}), the given model has {}; use that base, or merge "
        "anyway with --allow-base-mismatch",
        options.adapter, trained_on, adapter.base_name, base));
  }
  warn_of_mismatch(adapter);
}

}  // namespace

void warn_of_mismatch(const AdapterParts& adapter) {
  log::warning(
      fmt::format("the adapter was trained on another base ({}): its rotations act on features that this model may not "
                  "have, and nobody has measured the result. nkat.adapter.base_sha256 in the file records the mismatch",
                  adapter.base_name));
}

AdapterParts read_adapter(const fs::path& folder, const models::ModelConfig& config) {
  if (config.hidden_size % static_cast<std::int64_t>(kBlockRows) != 0)
    throw ShapeError(fmt::format("{}: hidden size of the base: {}", folder.string(),
                                 expected(fmt::format("a multiple of {}, as an adapter needs", kBlockRows),
                                          std::to_string(config.hidden_size))));
  if (!fs::exists(folder / models::kAdapterConfigFile)) {
    throw DataError(
        fmt::format("{}: {}", folder.string(),
                    expected(fmt::format("an adapter folder, with {} in it", models::kAdapterConfigFile), "none",
                             "of a run, name adapter/, adapter-best/ or one of checkpoints/step-N")));
  }
  const models::LoadedAdapter loaded = models::load_adapter(folder, config);
  AdapterParts parts{.matrices = host_matrices(loaded.adapter, config),
                     .provenance = {},
                     .base_name = loaded.base.base_model_name_or_path,
                     .base_norms_sha256 = loaded.base.base_norms_sha256};
  Provenance& provenance = parts.provenance;
  provenance.adapter_sha256 = sha256_hex(read_file(folder / models::kAdapterModelFile, kAdapterLimit));
  provenance.trained_on = loaded.base.base_sha256;
  provenance.first_layer = static_cast<std::uint32_t>(loaded.adapter.first_layer);
  for (const double gate : loaded.adapter.gates()) provenance.gates.push_back(static_cast<float>(gate));
  provenance.step = training_step(folder);
  return parts;
}

ExportSource open_source(const ExportOptions& options) {
  models::ModelConfig config = models::read_model_config(options.model_path);
  auto base = std::make_unique<models::SafetensorsWeights>(options.model_path, config);
  if (options.adapter.empty()) {
    log::warning("no --adapter: the base alone is exported");
    return {std::move(config),
            {.base_sha256 = models::base_sha256(options.model_path)},
            MergedWeights(std::move(base), {})};
  }
  AdapterParts adapter = read_adapter(options.adapter, config);
  adapter.provenance.base_sha256 = models::base_sha256(options.model_path);
  check_base(adapter, adapter.provenance.base_sha256, options);
  return {std::move(config), std::move(adapter.provenance),
          MergedWeights(std::move(base), std::move(adapter.matrices))};
}

}  // namespace nkat::exporting
