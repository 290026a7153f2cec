#include "export/hf/hf_export.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/cli/progress.h"
#include "core/error.h"
#include "core/files/atomic_file.h"
#include "core/json.h"
#include "data/formats/safetensors.h"
#include "export/gguf/gguf_export.h"
#include "models/tensor_table.h"

namespace nkat::exporting {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::uint64_t kConfigLimit = 16 << 20;
constexpr std::uint64_t kCopiedLimit = 256 << 20;
constexpr const char* kCopied[] = {
    "generation_config.json", "tokenizer.model",         "tokenizer.json",      "tokenizer_config.json",
    "added_tokens.json",      "special_tokens_map.json", "chat_template.jinja", "LICENSE"};

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

// The model's config.json with the new stored type, and untied where another head is stored.
std::string merged_config(const HfExport& options, const models::ModelConfig& model) {
  const fs::path path = options.model_folder / "config.json";
  Json config = parse_json(read_file(path, kConfigLimit), path.string());
  const bool new_spelling = config.contains("dtype");
  config.erase("torch_dtype");
  config[new_spelling ? "dtype" : "torch_dtype"] = torch_name(options.type);
  if (!model.tie_word_embeddings && config.contains("tie_word_embeddings")) config["tie_word_embeddings"] = false;
  return config.dump(2) + "\n";
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
  folder.write("config.json", merged_config(options, config));
  for (const char* name : kCopied) {
    const fs::path path = options.model_folder / name;
    if (fs::exists(path)) folder.write(name, read_file(path, kCopiedLimit));
  }
}

}  // namespace nkat::exporting
