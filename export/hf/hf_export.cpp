#include "export/hf/hf_export.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/cli/log.h"
#include "core/cli/progress.h"
#include "core/error.h"
#include "core/files/atomic_file.h"
#include "core/json.h"
#include "data/formats/gguf_reader.h"
#include "data/formats/safetensors.h"
#include "data/text/model_text.h"
#include "export/gguf/gguf_export.h"
#include "export/hf/hf_config.h"
#include "export/hf/hf_tokenizer.h"
#include "models/tensor_table.h"

namespace nkat::exporting {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::uint64_t kConfigLimit = 16 << 20;
constexpr std::uint64_t kCopiedLimit = 256 << 20;
constexpr const char* kCopied[] = {"generation_config.json",
                                   "tokenizer.model",
                                   "tokenizer.json",
                                   "tokenizer_config.json",
                                   "vocab.json",
                                   "added_tokens.json",
                                   "special_tokens_map.json",
                                   "chat_template.jinja",
                                   "merges.txt",
                                   "LICENSE"};
constexpr const char *kModelConfig = "config.json", *kTokenizerConfig = "tokenizer_config.json";
constexpr const char* kAutoMap = "auto_map";  // names the classes of Python files in the folder
// Of weights that the folder no longer holds: with these transformers looks for quantized tensors.
constexpr const char* kQuantizationKeys[] = {"quantization_config", "compression_config"};

using Shard = std::vector<data::TensorInfo>;  // in the order of their bytes

data::DType stored_type(gguf::GgmlType type) {
  return type == gguf::GgmlType::kF32   ? data::DType::kF32
         : type == gguf::GgmlType::kF16 ? data::DType::kF16
                                        : data::DType::kBF16;
}
const char* torch_name(gguf::GgmlType type) {
  return type == gguf::GgmlType::kF32 ? "float32" : type == gguf::GgmlType::kF16 ? "float16" : "bfloat16";
}

std::vector<Shard> plan_shards(const models::ModelConfig& config, const HfExport& options) {
  std::vector<Shard> shards(1);
  std::uint64_t used = 0;
  for (const models::TensorSpec& tensor : models::checkpoint_tensors(config)) {
    const std::uint64_t bytes = *gguf::tensor_bytes(options.type, tensor.matrix().elements());
    if (!shards.back().empty() && used + bytes > options.shard_bytes) {
      shards.emplace_back();
      used = 0;
    }
    shards.back().push_back({tensor.name, stored_type(options.type), tensor.shape, 0, bytes});
    used += bytes;
  }
  for (Shard& shard : shards) {
    std::ranges::sort(shard, {}, &data::TensorInfo::name);
    std::uint64_t begin = 0;
    for (data::TensorInfo& tensor : shard) {
      tensor.begin = begin;
      begin = tensor.end += begin;
    }
  }
  return shards;
}

std::string shard_name(std::size_t index, std::size_t count) {
  return count == 1 ? "model.safetensors" : fmt::format("model-{:05}-of-{:05}.safetensors", index + 1, count);
}

std::uint64_t data_bytes(const Shard& shard) { return shard.empty() ? 0 : shard.back().end; }

std::string shard_index(const std::vector<Shard>& shards) {
  Json map = Json::object();
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < shards.size(); ++i) {
    for (const data::TensorInfo& tensor : shards[i]) map[tensor.name] = shard_name(i, shards.size());
    total += data_bytes(shards[i]);
  }
  return Json{{"metadata", {{"total_size", total}}}, {"weight_map", map}}.dump(2) + "\n";
}

void drop_quantization(Json& config, const HfExport& options) {
  for (const char* key : kQuantizationKeys) {
    if (config.erase(key) == 0) continue;
    log::warning(fmt::format("{}: {} is left out of the exported config.json: the weights are written as {}",
                             (options.model / kModelConfig).string(), key, torch_name(options.type)));
  }
}

// The model's config.json with the new stored type, and untied where another head is stored.
std::string merged_config(const HfExport& options, const models::ModelConfig& model) {
  const fs::path path = options.model / kModelConfig;
  Json config = parse_json(read_file(path, kConfigLimit), path.string());
  drop_quantization(config, options);
  const bool new_spelling = config.contains("dtype");
  config.erase("torch_dtype");
  config[new_spelling ? "dtype" : "torch_dtype"] = torch_name(options.type);
  if (!model.tie_word_embeddings && config.contains("tie_word_embeddings")) config["tie_word_embeddings"] = false;
  return config.dump(2) + "\n";
}

std::optional<std::string> token(const data::SpecialTokens& tokens, const char* name) {
  const auto found = tokens.find(name);
  return found == tokens.end() ? std::nullopt : std::optional(found->second);
}

void write_files_of_gguf(AtomicFolder& folder, const HfExport& options, const models::ModelConfig& config) {
  const data::GgufText text = data::read_gguf_text(options.model);
  const NamedTokens tokens = {.begin = token(text.special_tokens, "bos_token"),
                              .end = token(text.special_tokens, "eos_token"),
                              .unknown = token(text.special_tokens, "unk_token"),
                              .padding = token(text.special_tokens, "pad_token")};
  folder.write("config.json", hf_config_json(config, torch_name(options.type), options.model.string()));
  folder.write("generation_config.json", generation_config_json(config));
  folder.write("tokenizer.json", tokenizer_json(text.tokenizer));
  folder.write("tokenizer_config.json", tokenizer_config_json(text.tokenizer, tokens, text.chat_template));
}

bool names_python_classes(const fs::path& config) {
  if (!fs::exists(config)) return false;
  const nlohmann::json json = parse_large_json(read_file(config, kConfigLimit), config.string(), {kAutoMap});
  return json.is_object() && json.contains(kAutoMap);
}

// What the folder needs to load as the model's: tokenizer and generation settings, and the code that its configs name. Each
// Python file may import the others, so that all of them go along.
void copy_files(AtomicFolder& folder, const fs::path& model_folder) {
  const auto copy = [&](const std::string& name) {
    if (fs::exists(model_folder / name)) folder.write(name, read_file(model_folder / name, kCopiedLimit));
  };
  for (const char* name : kCopied) copy(name);
  if (!names_python_classes(model_folder / kModelConfig) && !names_python_classes(model_folder / kTokenizerConfig))
    return;
  for (const auto& entry : fs::directory_iterator(model_folder)) {
    if (entry.path().extension() == ".py") copy(entry.path().filename().string());
  }
}

void require_space(const std::vector<Shard>& shards, const fs::path& folder) {
  std::uint64_t needed = 0;
  for (const Shard& shard : shards) needed += data_bytes(shard);
  const std::uint64_t free = free_disk_space(folder);
  if (free >= needed) return;
  throw DeviceError(fmt::format("{}: the merged weights need {}, {} are free; free some space or choose another folder",
                                folder.string(), format_bytes(static_cast<double>(needed)),
                                format_bytes(static_cast<double>(free))));
}

}  // namespace

void write_merged_folder(AtomicFolder& folder, const HfExport& options, const models::ModelConfig& config,
                         const models::WeightSource& weights) {
  const std::vector<Shard> shards = plan_shards(config, options);
  require_space(shards, folder.temporary_path());
  std::uint64_t total = 0, done = 0;
  for (const models::TensorSpec& tensor : models::checkpoint_tensors(config)) total += tensor.matrix().elements();
  ProgressBar progress("export", total);
  for (std::size_t i = 0; i < shards.size(); ++i) {
    const std::string header = data::serialize_safetensors_header(shards[i], {{"format", "pt"}});
    AtomicFile file(folder.temporary_path() / shard_name(i, shards.size()), header.size() + data_bytes(shards[i]));
    file.append(std::as_bytes(std::span(header)));
    for (const data::TensorInfo& tensor : shards[i]) {
      produce_encoded(weights, tensor.name, options.type, [&](std::span<const std::byte> piece) {
        file.append(piece);
        done += piece.size() / *gguf::tensor_bytes(options.type, 1);
        progress.update(done, tensor.name);
      });
    }
    file.publish();
  }
  if (shards.size() > 1) folder.write("model.safetensors.index.json", shard_index(shards));
  if (gguf::is_gguf_model(options.model)) return write_files_of_gguf(folder, options, config);
  folder.write(kModelConfig, merged_config(options, config));
  copy_files(folder, options.model);
}

}  // namespace nkat::exporting
