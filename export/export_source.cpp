#include "export/export_source.h"

#include <fmt/format.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/json.h"
#include "core/log.h"
#include "core/sha256.h"
#include "export/checkpoint_weights.h"
#include "models/adapter_set.h"
#include "models/base_hash.h"

namespace nkat::exporting {
namespace {

constexpr std::uint64_t kStateLimit = 64 << 20;
constexpr std::uint64_t kAdapterLimit = std::uint64_t{1} << 32;

std::vector<std::vector<float>> host_blocks(const models::AdapterSet& adapter) {
  std::vector<std::vector<float>> all;
  for (const at::Tensor& layer : adapter.blocks(adapter.rotations(), at::kCPU)) {
    if (!layer.defined()) {
      all.emplace_back();
      continue;
    }
    const at::Tensor values = layer.contiguous();
    all.emplace_back(values.const_data_ptr<float>(), values.const_data_ptr<float>() + values.numel());
  }
  return all;
}

// A checkpoint's own step; an adapter folder doesn't say.
std::optional<std::uint32_t> training_step(const fs::path& folder) {
  const fs::path path = folder / data::kStateJson;
  if (!fs::exists(path)) return std::nullopt;
  const auto state = parse_large_json(read_file(path, kStateLimit), path.string(), {"step"});
  if (!state.contains("step") || !state["step"].is_number_unsigned() ||
      state["step"].get<std::uint64_t>() > std::numeric_limits<std::uint32_t>::max()) {
    throw FormatError(path.string() + ": key 'step' must be a whole number from 0 on");
  }
  return state["step"].get<std::uint32_t>();
}

void check_base(const models::LoadedAdapter& adapter, const std::string& base, const ExportOptions& options) {
  if (!options.allow_base_mismatch) {
    try {
      return models::require_same_base(adapter, base, options.adapter);
    } catch (const DataError& error) {
      throw DataError(std::string(error.what()) + ", or merge all the same with --allow-base-mismatch");
    }
  }
  if (adapter.identity.base_sha256 == base) return;
  log::warning(
      fmt::format("the adapter was trained on another base ({}): its rotations act on features that this model may not "
                  "have; nobody "
                  "has measured what comes out. nkat.adapter.base_sha256 in the file keeps the difference visible",
                  adapter.identity.base_model_name_or_path));
}

}  // namespace

ExportSource open_source(const ExportOptions& options) {
  models::Phi3Config config = models::read_phi3_config(options.model_path);
  if (options.adapter.empty()) {
    log::warning("no --adapter: the base alone is exported");
    MergedWeights weights(std::make_unique<CheckpointWeights>(options.model_path, config), {});
    return {std::move(config), {.base_sha256 = models::base_sha256(options.model_path)}, std::move(weights)};
  }
  const models::LoadedAdapter loaded = models::load_adapter(options.adapter, config);
  MergedWeights weights(std::make_unique<CheckpointWeights>(options.model_path, config), host_blocks(loaded.adapter));
  Provenance provenance;
  provenance.base_sha256 = models::base_sha256(options.model_path);
  check_base(loaded, provenance.base_sha256, options);
  provenance.adapter_sha256 =
      sha256_hex(read_file(fs::path(options.adapter) / models::kAdapterModelFile, kAdapterLimit));
  provenance.trained_on = loaded.identity.base_sha256;
  provenance.first_layer = static_cast<std::uint32_t>(loaded.adapter.first_layer);
  for (const double gate : loaded.adapter.gates()) provenance.gates.push_back(static_cast<float>(gate));
  provenance.step = training_step(options.adapter);
  return {std::move(config), std::move(provenance), std::move(weights)};
}

}  // namespace nkat::exporting
