#include "export/patch/patch_source.h"

#include <cstring>

#include <fmt/format.h>

#include "core/error.h"
#include "core/message.h"
#include "export/gguf/gguf_config.h"
#include "export/merge/export_source.h"
#include "models/weights/base_fingerprint.h"
#include "models/weights/weight_source.h"

namespace nkat::exporting {
namespace {

constexpr const char* kBaseKey = "nkat.base_sha256";

void refuse_merged(const gguf::GgufFile& file) {
  for (const auto& [key, value] : file.metadata().pairs()) {
    if (!key.starts_with("nkat.adapter.")) continue;
    throw FormatError(
        fmt::format("{}: an adapter is already merged into this file (key '{}'), and a second one would act on its "
                    "result; patch the original file",
                    file.path().string(), key));
  }
}

std::vector<std::string> norm_names(const models::ModelConfig& config) {
  std::vector<std::string> names;
  for (const models::TensorSpec& tensor : models::model_tensors(config)) {
    if (tensor.kind == models::TensorKind::kNorm) names.push_back(tensor.name);
  }
  return names;
}

void require_float32_norms(const gguf::GgufFile& file, const models::GgufWeights& weights,
                           const models::ModelConfig& config) {
  for (const std::string& name : norm_names(config)) {
    const gguf::GgufTensor& stored = weights.stored(name);
    if (stored.type == gguf::GgmlType::kF32) continue;
    throw FormatError(fmt::format("{}: tensor '{}': {}", file.path().string(), stored.name,
                                  expected("f32, as llama.cpp needs for norms", gguf::traits(stored.type).name)));
  }
}

void require_same_sizes(const gguf::GgufFile& file, const models::ModelConfig& found, const models::ModelConfig& wanted,
                        const ExportOptions& options) {
  using Size = std::pair<const char*, std::int64_t models::ModelConfig::*>;
  for (const auto& [key, member] :
       {Size{"hidden_size", &models::ModelConfig::hidden_size},
        Size{"intermediate_size", &models::ModelConfig::intermediate_size},
        Size{"num_hidden_layers", &models::ModelConfig::num_layers},
        Size{"num_attention_heads", &models::ModelConfig::num_heads},
        Size{"num_key_value_heads", &models::ModelConfig::num_key_value_heads},
        Size{"head_dim", &models::ModelConfig::head_dim}, Size{"rotary dimension", &models::ModelConfig::rotary_dim},
        Size{"vocab_size", &models::ModelConfig::vocab_size}}) {
    if (found.*member == wanted.*member) continue;
    throw ShapeError(fmt::format("{}: {}: {}", file.path().string(), key,
                                 expected(fmt::format("the {} of {}", wanted.*member, options.model_path),
                                          std::to_string(found.*member), "the file was made from another model")));
  }
}

void require_same_norms(const gguf::GgufFile& file, const models::GgufWeights& found,
                        const models::WeightSource& wanted, const ExportOptions& options,
                        const models::ModelConfig& config) {
  for (const std::string& name : norm_names(config)) {
    std::vector<float> theirs(found.shape(name).columns), ours(theirs.size());
    found.read(name, 0, theirs);
    wanted.read(name, 0, ours);
    for (std::size_t i = 0; i < ours.size(); ++i) {
      if (std::memcmp(&theirs[i], &ours[i], sizeof(float)) == 0) continue;
      throw DataError(
          fmt::format("{}: tensor '{}' differs from {} of {} (number {}: {} and {}); the file was made from another "
                      "model, give the one it was made from as --model-path",
                      file.path().string(), found.stored(name).name, name, options.model_path, i, theirs[i], ours[i]));
    }
  }
}

// Why the file isn't proved to be made from the adapter's base; empty if it is.
std::string doubt_about_base(const gguf::GgufFile& file, const models::GgufWeights& weights,
                             const AdapterParts& adapter, const models::ModelConfig& config,
                             const std::string& named_base) {
  if (!named_base.empty() && named_base != adapter.provenance.trained_on)
    return fmt::format("the file names its base in {} as {}, the adapter was trained on {} ({})", kBaseKey, named_base,
                       adapter.provenance.trained_on, adapter.base_name);
  if (adapter.base_norms_sha256.empty())
    return fmt::format(
        "its adapter_config.json has no base_norms_sha256, so that nothing tells whether {} was made "
        "from the base it was trained on ({}); give that as --model-path",
        file.path().string(), adapter.base_name);
  const std::string found = models::norms_sha256(config, weights);
  if (found == adapter.base_norms_sha256) return "";
  return fmt::format(
      "it was trained on a base whose norms have SHA-256 {} ({}), those of {} have {}; use a file made "
      "from that base",
      adapter.base_norms_sha256, adapter.base_name, file.path().string(), found);
}

PatchSource from_checkpoint(const gguf::GgufFile& file, const models::GgufWeights& weights, models::ModelConfig config,
                            const ExportOptions& options) {
  ExportSource source = open_source(options);
  require_same_sizes(file, config, source.config, options);
  require_same_norms(file, weights, source.weights.base(), options, config);
  return {.config = std::move(config),
          .provenance = std::move(source.provenance),
          .weights = std::move(source.weights),
          .merged_from = kMergedFromCheckpoint,
          .paired_by = "norms of the checkpoint"};
}

PatchSource from_file(const gguf::GgufFile& file, std::unique_ptr<const models::GgufWeights> weights,
                      models::ModelConfig config, const ExportOptions& options) {
  AdapterParts adapter = read_adapter(options.adapter, config);
  const bool names_base = file.metadata().find(kBaseKey) != nullptr;
  adapter.provenance.base_sha256 = names_base ? file.metadata().string(kBaseKey) : "";
  const std::string doubt = doubt_about_base(file, *weights, adapter, config, adapter.provenance.base_sha256);
  if (!doubt.empty() && !options.allow_base_mismatch)
    throw DataError(fmt::format("{}: {}, or merge anyway with --allow-base-mismatch", options.adapter, doubt));
  if (!doubt.empty()) warn_of_mismatch(adapter);
  return {.config = std::move(config),
          .provenance = std::move(adapter.provenance),
          .weights = MergedWeights(std::move(weights), std::move(adapter.matrices)),
          .merged_from = kMergedFromFile,
          .paired_by = doubt.empty() ? "hash of the norms" : "nothing"};
}

}  // namespace

PatchSource open_patch_source(const gguf::GgufFile& file, const ExportOptions& options) {
  refuse_merged(file);
  models::ModelConfig config = model_config_from(file);
  auto weights = std::make_unique<const models::GgufWeights>(file, config);
  require_float32_norms(file, *weights, config);
  if (!options.model_path.empty()) return from_checkpoint(file, *weights, std::move(config), options);
  return from_file(file, std::move(weights), std::move(config), options);
}

}  // namespace nkat::exporting
