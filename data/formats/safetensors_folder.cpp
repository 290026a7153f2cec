#include "data/formats/safetensors_folder.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/cli/log.h"
#include "core/error.h"
#include "core/json.h"
#include "core/message.h"

namespace nkat::data {
namespace {

constexpr std::uint64_t kIndexLimit = 64 << 20;
constexpr std::size_t kShardLimit = 10'000;
constexpr int kIndexDepth = 8;

bool is_plain_file_name(const std::string& name) {
  return !name.empty() && name.size() <= 255 && name != "." && name != ".." &&
         name.find_first_of(std::string_view("/\\\0", 3)) == std::string::npos;
}

// Tensor name -> shard name, as the index says.
std::map<std::string, std::string> read_weight_map(const nlohmann::json& index, const std::string& who) {
  if (!index.is_object() || !index.contains("weight_map") || !index["weight_map"].is_object()) {
    throw FormatError(fmt::format("{}: key 'weight_map': {}", who,
                                  expected("an object from tensor names to shard files", "nothing or another type")));
  }
  std::map<std::string, std::string> map;
  for (const auto& entry : index["weight_map"].items()) {
    if (!entry.value().is_string() || !is_plain_file_name(entry.value().get_ref<const std::string&>())) {
      throw FormatError(
          fmt::format("{}: tensor '{}': {}", who, entry.key(),
                      expected("the plain name of a file in the same folder", entry.value().dump(-1, ' ', true))));
    }
    map[entry.key()] = entry.value().get<std::string>();
  }
  if (map.empty()) throw FormatError(who + ": 'weight_map' is empty");
  return map;
}

void warn_about_total_size(const nlohmann::json& index, std::uint64_t found, const std::string& who) {
  if (!index.contains("metadata") || !index["metadata"].is_object()) return;
  const auto& metadata = index["metadata"];
  if (!metadata.contains("total_size") || !metadata["total_size"].is_number_unsigned()) return;
  const auto stated = metadata["total_size"].get<std::uint64_t>();
  if (stated != found)
    log::warning(fmt::format("{}: total_size says {} bytes, the shards hold {}", who, stated, found));
}

// What a folder without weights that can be read holds instead, and what to do about it; "" if nothing is known.
std::string other_weights(const fs::path& folder) {
  struct Row {
    std::string_view beginning, ending, what;
  };
  constexpr std::string_view kPickled = "can't be read: save the model again as safetensors";
  constexpr std::string_view kUnfinished = "is a download that didn't end: start it again";
  constexpr std::string_view kOtherProgram = "is for another program: download the safetensors files of the model";
  constexpr Row kRows[] = {
      {"", ".incomplete", kUnfinished},
      {"", ".part", kUnfinished},
      {"", ".partial", kUnfinished},
      {"", ".crdownload", kUnfinished},
      {"", ".aria2", kUnfinished},
      {"pytorch_model", ".bin", kPickled},
      {"pytorch_model", ".bin.index.json", kPickled},
      {"adapter_model", "", "is an adapter alone: merge it into its base with peft's merge_and_unload() and save that"},
      {"consolidated", "", "has its maker's own layout: download the files that transformers loads"},
      {"global_step", "", "is a training state of DeepSpeed: save the model itself with save_pretrained()"},
      {"", ".distcp", "is a shard of a training state: save the model itself with save_pretrained()"},
      {"", ".gguf", "is a GGUF file: give it by its own name"},
      {"model-", ".safetensors", "is a shard: download model.safetensors.index.json, too"},
      {"", ".safetensors", "has another name: rename it if it holds the whole model"},
      {"", ".pth", kPickled},
      {"", ".pt", kPickled},
      {"", ".ckpt", kPickled},
      {"model", ".bin", kPickled},
      {"", ".onnx", kOtherProgram},
      {"onnx", "", kOtherProgram},
      {"tf_model", ".h5", kOtherProgram},
      {"", ".msgpack", kOtherProgram},
      {"", ".npz", kOtherProgram},
      {"", ".nemo", kOtherProgram}};
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename().string());
  std::ranges::sort(names);
  for (const Row& row : kRows) {
    const auto found = std::ranges::find_if(
        names, [&](const std::string& name) { return name.starts_with(row.beginning) && name.ends_with(row.ending); });
    if (found != names.end()) return fmt::format("{} {}", *found, row.what);
  }
  return "";
}

}  // namespace

SafetensorsFolder::SafetensorsFolder(const fs::path& model_folder) {
  const fs::path single = model_folder / "model.safetensors";
  const fs::path index = model_folder / "model.safetensors.index.json";
  if (!fs::is_directory(model_folder)) {
    throw DataError(fmt::format("{}: {}", model_folder.string(), expected("a model folder", "no folder")));
  }
  // Both: transformers takes the single file.
  if (fs::exists(single)) {
    if (fs::exists(index)) log::warning(fmt::format("{} is used; {} is ignored", single.string(), index.string()));
    add(single);
  } else if (fs::exists(index)) {
    open_shards(index);
  } else {
    throw DataError(fmt::format(
        "{}: {}", model_folder.string(),
        expected("model.safetensors or model.safetensors.index.json", "neither", other_weights(model_folder))));
  }
}

void SafetensorsFolder::add(const fs::path& path) {
  files_.push_back(std::make_unique<SafetensorsFile>(path));
  paths_.push_back(path);
  for (const TensorInfo& info : files_.back()->tensors()) {
    const auto [place, is_new] = tensors_.emplace(info.name, Located{files_.back().get(), &info});
    if (!is_new) {
      throw FormatError(fmt::format("{}: duplicate tensor '{}', also in {}", path.string(), info.name,
                                    place->second.file->path().string()));
    }
  }
}

void SafetensorsFolder::open_shards(const fs::path& index_path) {
  const std::string who = index_path.string();
  const nlohmann::json index = parse_large_json(read_file(index_path, kIndexLimit), who, {}, kIndexDepth);
  const std::map<std::string, std::string> weight_map = read_weight_map(index, who);
  std::set<std::string> shards;
  for (const auto& entry : weight_map) shards.insert(entry.second);
  if (shards.size() > kShardLimit) {
    throw FormatError(fmt::format(
        "{}: {}", who, expected(fmt::format("at most {} shards", kShardLimit), std::to_string(shards.size()))));
  }
  for (const std::string& shard : shards) {
    const fs::path path = index_path.parent_path() / shard;
    if (!fs::exists(path)) throw DataError(fmt::format("{}: the shard is missing; {} lists it", path.string(), who));
    add(path);
  }
  for (const auto& [name, shard] : weight_map) {
    const auto found = tensors_.find(name);
    if (found == tensors_.end() || found->second.file->path().filename() != shard) {
      throw FormatError(fmt::format(
          "{}: tensor '{}': {}", who, name,
          expected("it in " + shard,
                   found == tensors_.end() ? "it in no shard" : "it in " + found->second.file->path().string())));
    }
  }
  std::uint64_t total = 0;
  for (const auto& [name, located] : tensors_) {
    total += located.info->end - located.info->begin;
    if (!weight_map.contains(name))
      log::warning(fmt::format("{}: the shards hold '{}', which is not listed", who, name));
  }
  warn_about_total_size(index, total, who);
}

std::vector<std::string> SafetensorsFolder::names() const {
  std::vector<std::string> all;
  for (const auto& entry : tensors_) all.push_back(entry.first);
  return all;
}

std::optional<SafetensorsFolder::Located> SafetensorsFolder::find(std::string_view name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) return std::nullopt;
  return found->second;
}

}  // namespace nkat::data
