#include "data/run/given_folder.h"

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "core/cli/log.h"
#include "core/error.h"
#include "core/json.h"
#include "core/message.h"
#include "core/utf8.h"
#include "data/run/adapter_config.h"
#include "data/run/run_layout.h"

namespace nkat::data {
namespace {

constexpr std::uint64_t kConfigLimit = 1 << 20;
constexpr std::string_view kFileScheme = "file://";
constexpr std::string_view kHubBeginnings[] = {"https://", "http://", "hf://", "huggingface.co/", "hf.co/", "models/"};
constexpr const char *kModelConfig = "config.json", *kWeights = "model.safetensors",
                     *kWeightsIndex = "model.safetensors.index.json", *kSnapshots = "snapshots";

enum class Kind { kNothing, kFile, kModel, kAdapter, kPeftAdapter, kRun, kCheckpoints, kOther };

bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

bool is_folder(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

// A value of adapter_config.json as text; "" where there is none. Its errors are for whoever reads the adapter.
std::string adapter_fact(const fs::path& folder, const char* key) {
  try {
    const fs::path path = folder / kAdapterConfigFile;
    const auto json = parse_json(read_file(path, kConfigLimit), path.string());
    return json.is_object() && json.contains(key) && json[key].is_string() ? json[key].get<std::string>() : "";
  } catch (const Error&) {
    return "";
  }
}

Kind kind_of(const fs::path& given) {
  if (!is_there(given)) return Kind::kNothing;
  if (!is_folder(given)) return Kind::kFile;
  if (is_there(given / kWeights) || is_there(given / kWeightsIndex)) return Kind::kModel;
  if (is_there(given / kAdapterConfigFile)) {
    const std::string type = adapter_fact(given, "peft_type");
    return type.empty() || type == kPeftType ? Kind::kAdapter : Kind::kPeftAdapter;
  }
  if (is_there(given / kMetricsFile) || is_folder(given / kCheckpointsFolder)) return Kind::kRun;
  if (!saved_steps(given).empty()) return Kind::kCheckpoints;
  return is_there(given / kModelConfig) ? Kind::kModel : Kind::kOther;
}

// Model folders below, as the Hub's cache (snapshots/REVISION) and trainers (checkpoint-500) leave them.
std::vector<fs::path> models_below(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code error;
  for (const fs::path& parent : {folder, folder / kSnapshots}) {
    for (const auto& entry : fs::directory_iterator(parent, error)) {
      if (is_there(entry.path() / kModelConfig) && kind_of(entry.path()) == Kind::kModel) found.push_back(entry.path());
    }
  }
  std::ranges::sort(found);
  return found;
}

std::string entries_of(const fs::path& folder) {
  constexpr std::size_t kMost = 6;
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) names.push_back(entry.path().filename().string());
  std::ranges::sort(names);
  const bool more = names.size() > kMost;
  if (more) names.resize(kMost);
  return names.empty() ? "an empty folder" : fmt::format("{}{}", fmt::join(names, ", "), more ? ", ..." : "");
}

[[noreturn]] void refuse(const fs::path& given, std::string_view wanted, std::string_view found,
                         std::string_view next = {}) {
  throw DataError(fmt::format("{}: {}", given.string(), expected(wanted, found, next)));
}

std::string of_file(const fs::path& file) {
  return fmt::format("give the folder that it is in: {}", folder_of(file).string());
}

std::string base_of(const fs::path& adapter) {
  const std::string base = ellipsize(adapter_fact(adapter, "base_model_name_or_path"));
  return base.empty() ? "its base" : fmt::format("its base ({})", base);
}

[[noreturn]] void refuse_as_model(const fs::path& given, Kind kind, std::string_view wanted) {
  switch (kind) {
    case Kind::kNothing:
      if (given.extension() == ".gguf") refuse(given, "a GGUF file", "no file of that name", hub_advice(given));
      refuse(given, wanted, "no folder of that name", hub_advice(given));
    case Kind::kFile: refuse(given, wanted, "a file", of_file(given));
    case Kind::kAdapter:
      refuse(given, wanted, "an adapter", fmt::format("give it as --adapter, and {} as --model-path", base_of(given)));
    case Kind::kPeftAdapter:
      refuse(
          given, wanted, fmt::format("an adapter of peft ({})", ellipsize(adapter_fact(given, "peft_type"))),
          fmt::format("merge it into {} with peft's merge_and_unload(), save the result with save_pretrained(DIR), and "
                      "give DIR",
                      base_of(given)));
    case Kind::kRun:
    case Kind::kCheckpoints:
      refuse(given, wanted, "a run of nkat train", "give it as --adapter, and its base as --model-path");
    default: break;
  }
  const std::vector<fs::path> below = models_below(given);
  refuse(given, wanted, entries_of(given),
         below.empty() ? gguf_advice(given) : fmt::format("{} is one", below.back().string()));
}

// A model on the Hub as people write it: NAME, NAME@REVISION, or an address, whose file may follow.
struct HubName {
  std::string model, revision, file;  // model: "maker/name"; all empty where it is no such name
};

HubName hub_name(std::string name) {
  bool is_address = false;
  for (const std::string_view beginning : kHubBeginnings) {
    if (!name.starts_with(beginning) || (beginning == "models/" && !is_address)) continue;
    name.erase(0, beginning.size());
    is_address = true;
  }
  name.erase(std::min(name.find_first_of("?#"), name.size()));
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin <= name.size();) {
    const std::size_t end = std::min(name.find('/', begin), name.size());
    if (end > begin) parts.push_back(name.substr(begin, end - begin));
    begin = end + 1;
  }
  HubName hub;
  if (parts.size() > 3 && is_address && (parts[2] == "tree" || parts[2] == "blob" || parts[2] == "resolve")) {
    hub.revision = parts[3] == "main" ? "" : parts[3];
    if (parts.size() == 5) hub.file = parts[4];
  } else if (parts.size() == 3 && parts[2].ends_with(".gguf")) {
    hub.file = parts[2];
  } else if (parts.size() != 2 || (!is_address && parts[1].ends_with(".gguf"))) {
    return {};
  } else if (const std::size_t at = parts[1].find_first_of("@:"); at != std::string::npos) {
    hub.revision =
        parts[1][at] == '@' ? parts[1].substr(at + 1) : "";  // a colon: llama.cpp's and Ollama's quantization
    parts[1].erase(at);
  }
  constexpr std::string_view kCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./";
  const std::string all = fmt::format("{}/{}{}{}", parts[0], parts[1], hub.revision, hub.file);
  const bool is_path = name.front() == '/' || name.front() == '.' || (!is_address && is_there(parts[0]));
  if (is_path || parts[1].empty() || all.find_first_not_of(kCharacters) != std::string::npos) return {};
  hub.model = fmt::format("{}/{}", parts[0], parts[1]);
  return hub;
}

fs::path chosen(const fs::path& given, const fs::path& adapter, const char* what) {
  log::info(fmt::format("{}: {}; its adapter is {}", given.string(), what, adapter.string()));
  return adapter;
}

std::optional<fs::path> newest_checkpoint(const fs::path& checkpoints) {
  const std::vector<std::int64_t> steps = saved_steps(checkpoints);
  return steps.empty() ? std::nullopt : std::optional(checkpoint_path(checkpoints, steps.back()));
}

}  // namespace

std::string hub_advice(const fs::path& absent) {
  const std::string given = absent.string();
  if (given.starts_with("~")) return "the shell left the ~ as it is: write the folder of your home in full";
  if (given.starts_with(kFileScheme)) return fmt::format("give the path alone: {}", given.substr(kFileScheme.size()));
  const HubName hub = hub_name(given);
  if (hub.model.empty()) return "";
  const std::string folder = hub.model.substr(hub.model.find('/') + 1);
  const std::string file = hub.file.empty() ? "" : " " + hub.file;
  const std::string revision = hub.revision.empty() ? "" : " --revision " + hub.revision;
  return fmt::format("a name on the Hub? download it first (hf download {}{}{} --local-dir {}) and give that {}",
                     hub.model, file, revision, folder,
                     hub.file.empty() ? "folder" : fmt::format("file: {}/{}", folder, hub.file));
}

std::string gguf_advice(const fs::path& folder) {
  std::string first;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(".gguf") && (first.empty() || name < first)) first = name;
  }
  return first.empty() ? "" : fmt::format("name the GGUF file itself: {}", (folder / first).string());
}

void require_model_folder(const fs::path& given, std::string_view needed) {
  const Kind kind = kind_of(given);
  const bool may_be = kind == Kind::kModel || kind == Kind::kOther;
  if (may_be && (needed.empty() || is_there(given / needed))) return;
  refuse_as_model(given, kind,
                  needed.empty() ? "a model folder" : fmt::format("a model folder, with {} in it", needed));
}

void warn_of_adapter_beside(const fs::path& model_folder) {
  const std::string type = adapter_fact(model_folder, "peft_type");
  if (type.empty() || type == kPeftType) return;
  log::warning(
      fmt::format("{}: an adapter of peft ({}) lies beside the weights and isn't applied, as transformers would; merge "
                  "it with peft's merge_and_unload(), or remove {}",
                  model_folder.string(), ellipsize(type), kAdapterConfigFile));
}

fs::path find_adapter_folder(const fs::path& given) {
  if (is_there(given / kAdapterConfigFile)) return given;
  const std::string wanted = fmt::format("an adapter folder, with {} in it", kAdapterConfigFile);
  switch (kind_of(given)) {
    case Kind::kNothing: refuse(given, wanted, "no folder of that name", hub_advice(given));
    case Kind::kFile: refuse(given, wanted, "a file", of_file(given));
    case Kind::kModel: refuse(given, wanted, "a model", "give it as --model-path");
    case Kind::kRun: {
      const fs::path adapter = given / kNewestAdapterFolder;
      if (is_there(adapter / kAdapterConfigFile)) return chosen(given, adapter, "a run");
      if (const auto newest = newest_checkpoint(given / kCheckpointsFolder)) return chosen(given, *newest, "a run");
      refuse(given, wanted, "a run without a checkpoint");
    }
    case Kind::kCheckpoints: return chosen(given, *newest_checkpoint(given), "checkpoints of a run");
    default: refuse(given, wanted, entries_of(given));
  }
}

}  // namespace nkat::data
