#include "data/inspect/inspect_path.h"

#include <algorithm>
#include <map>
#include <unordered_set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/error.h"
#include "core/json.h"
#include "core/message.h"
#include "core/signals.h"
#include "core/utf8.h"
#include "data/datasets/token_cache.h"
#include "data/formats/gguf_reader.h"
#include "data/formats/safetensors_folder.h"
#include "data/inspect/nonfinite.h"
#include "data/run/adapter_config.h"
#include "data/run/checkpoint_files.h"
#include "data/text/sentencepiece_model.h"

namespace nkat::data {
namespace {

using Json = nlohmann::ordered_json;
using gguf::GgufFile, gguf::GgufMetadata, gguf::GgufTensor, gguf::GgufValue, gguf::ValueType;

constexpr std::uint64_t kLargestVocabulary = 1 << 24;
constexpr std::uint32_t kMostBlocks = 512;
constexpr std::size_t kPreview = 120;
constexpr std::uint64_t kLargestState = 16 << 20;
constexpr std::uint64_t kLargestModel = 64 << 20;

// ---- GGUF

void require(bool condition, const GgufFile& file, const std::string& error) {
  if (!condition) throw FormatError(fmt::format("{}: {}", file.path().string(), error));
}

// The lists of the vocabulary have one length, texts are unique (llama.cpp aborts where they are not), ids are in range.
void check_vocabulary(const GgufFile& file, Inspection& inspection) {
  const GgufMetadata& metadata = file.metadata();
  if (metadata.find("tokenizer.ggml.tokens") == nullptr) return;
  const std::vector<std::string> tokens = metadata.strings("tokenizer.ggml.tokens", kLargestVocabulary);
  std::unordered_set<std::string_view> texts;
  for (const std::string& text : tokens)
    require(texts.insert(text).second, file, fmt::format("duplicate token '{}'", ellipsize(text)));
  for (const char* key : {"tokenizer.ggml.scores", "tokenizer.ggml.token_type"}) {
    const GgufValue* list = metadata.find(key);
    require(list == nullptr || (list->type() == ValueType::kArray && list->count() == tokens.size()), file,
            fmt::format("{}: {}", key,
                        expected(fmt::format("an array of {} elements, one per token", tokens.size()),
                                 list == nullptr ? "nothing" : list->type_name())));
  }
  for (const char* name : {"bos", "eos", "eot", "unknown", "padding"}) {
    const std::string key = fmt::format("tokenizer.ggml.{}_token_id", name);
    const auto id = metadata.number_or<std::uint32_t>(key, 0);
    require(id < tokens.size(), file,
            fmt::format("{}: {}", key, expected(fmt::format("an id below {}", tokens.size()), std::to_string(id))));
  }
  inspection.facts["vocabulary"] = tokens.size();
  inspection.holds("token texts are unique, lists of the vocabulary are of one length, ids are inside");
}

void check_architecture(const GgufFile& file, Inspection& inspection) {
  const GgufMetadata& metadata = file.metadata();
  if (metadata.find("general.architecture") == nullptr) return;
  const std::string architecture = metadata.string("general.architecture");
  inspection.facts["architecture"] = architecture;
  const std::string key = architecture + ".block_count";
  if (metadata.find(key) == nullptr) return;
  const auto blocks = metadata.number<std::uint32_t>(key);
  require(blocks >= 1 && blocks <= kMostBlocks, file,
          fmt::format("{}: {}", key, expected(fmt::format("1 to {}", kMostBlocks), std::to_string(blocks))));
}

void check_values(const GgufFile& file, Inspection& inspection) {
  std::size_t passed_over = 0;
  for (const GgufTensor& tensor : file.tensors()) {
    throw_if_stop_requested();
    const std::string who = fmt::format("{}: tensor '{}'", file.path().string(), tensor.name);
    if (!require_finite(tensor.type, file.bytes(tensor), who)) ++passed_over;
    file.release(tensor);
  }
  inspection.holds(fmt::format("all numbers of {} tensors are finite", file.tensors().size() - passed_over));
  if (passed_over > 0)
    inspection.facts["not_decoded"] = fmt::format("{} tensors of types without a decoder here", passed_over);
}

Inspection inspect_gguf(const fs::path& path, Values values) {
  const GgufFile file(path);
  Inspection inspection{.path = path.string(), .kind = "GGUF file"};
  inspection.facts["bytes"] = file.size();
  inspection.facts["version"] = file.version();
  inspection.facts["alignment"] = file.alignment();
  inspection.holds("every count, name, type, size and offset; the tensors cover the data exactly");
  check_architecture(file, inspection);
  check_vocabulary(file, inspection);
  if (values == Values::kFinite) check_values(file, inspection);
  for (const GgufTensor& tensor : file.tensors()) {
    inspection.tensors.push_back({.name = tensor.name,
                                  .type = gguf::traits(tensor.type).name,
                                  .shape = {tensor.ne.begin(), tensor.ne.begin() + tensor.dimensions},
                                  .bytes = tensor.bytes});
  }
  add_totals(inspection);
  nlohmann::ordered_json pairs = nlohmann::ordered_json::object();
  for (const auto& [key, value] : file.metadata().pairs())
    pairs[key] = fmt::format("{}: {}", value.type_name(), value.preview(kPreview));
  inspection.facts["metadata"] = std::move(pairs);
  return inspection;
}

// ---- safetensors, and the folders made of them

void add_tensor(Inspection& inspection, const SafetensorsFile& file, const TensorInfo& info, Values values) {
  throw_if_stop_requested();
  if (values == Values::kFinite) {
    require_finite(info.dtype, file.bytes(info), fmt::format("{}: tensor '{}'", file.path().string(), info.name));
    file.release(info);
  }
  inspection.tensors.push_back({.name = info.name,
                                .type = dtype_name(info.dtype),
                                .shape = {info.shape.begin(), info.shape.end()},
                                .bytes = info.end - info.begin});
}

void add_file(Inspection& inspection, const SafetensorsFile& file, Values values) {
  for (const TensorInfo& info : file.tensors()) add_tensor(inspection, file, info, values);
}

void finish(Inspection& inspection, Values values) {
  add_totals(inspection);
  inspection.holds("every name, type, size and range; the tensors cover the data exactly");
  if (values == Values::kFinite) inspection.holds("all floating-point numbers are finite");
}

// The tensors of an adapter are those that its config asks for.
void check_adapter(const SafetensorsFile& file, const AdapterConfig& config) {
  const auto count = static_cast<std::int64_t>(file.tensors().size());
  if (count != 2 * config.layers()) {
    throw FormatError(fmt::format("{}: {}", file.path().string(),
                                  expected(fmt::format("weight and alpha of layers {} to {}",
                                                       config.first_adapter_layer, config.num_hidden_layers - 1),
                                           fmt::format("{} tensors", count))));
  }
  for (const TensorInfo& info : file.tensors()) {
    const bool is_alpha = info.name.ends_with("alpha");
    const std::vector<std::int64_t> shape =
        is_alpha ? std::vector<std::int64_t>{} : std::vector{config.blocks(), std::int64_t{8}, std::int64_t{8}};
    if (info.dtype != DType::kF32 || info.shape != shape) {
      throw FormatError(
          fmt::format("{}: tensor '{}': {}", file.path().string(), info.name,
                      expected(fmt::format("F32 [{}]", fmt::join(shape, ", ")),
                               fmt::format("{} [{}]", dtype_name(info.dtype), fmt::join(info.shape, ", ")))));
    }
  }
}

void add_adapter(Inspection& inspection, const fs::path& folder, Values values) {
  const AdapterConfig config = read_adapter_config(folder);
  inspection.facts["config"] = Json::parse(adapter_config_text(config));
  const SafetensorsFile file(folder / kAdapterModelFile);
  check_adapter(file, config);
  add_file(inspection, file, values);
  inspection.holds("the adapter's tensors are those that its config asks for");
}

// Opened as a run opens it, so that whatever a run would rebuild is refused here.
void add_token_cache(Inspection& inspection, const SafetensorsFile& file) {
  const std::string& key = file.metadata().at("key");
  const TokenCache cache(file.path(), key);
  inspection.kind = "token cache of a data file";
  inspection.facts["key"] = key;
  inspection.facts["samples"] = cache.size();
  inspection.facts["summary"] = parse_json(cache.summary(), file.path().string());
  inspection.holds("the bytes have the SHA-256 of the metadata; samples follow each other");
}

Inspection inspect_safetensors(const fs::path& path, Values values) {
  const SafetensorsFile file(path);
  Inspection inspection{.path = path.string(), .kind = "safetensors file"};
  inspection.facts["bytes"] = fs::file_size(path);
  add_file(inspection, file, values);
  finish(inspection, values);
  if (is_token_cache(file)) {
    add_token_cache(inspection, file);
  } else if (!file.metadata().empty()) {
    inspection.facts["metadata"] = file.metadata();
  }
  return inspection;
}

Inspection inspect_model_folder(const fs::path& folder, Values values) {
  const SafetensorsFolder model(folder);
  Inspection inspection{.path = folder.string(), .kind = "model folder"};
  for (const fs::path& file : model.files()) inspection.facts["files"][file.filename().string()] = fs::file_size(file);
  for (const std::string& name : model.names()) {
    const auto located = model.find(name);
    add_tensor(inspection, *located->file, *located->info, values);
  }
  finish(inspection, values);
  return inspection;
}

Inspection inspect_adapter(const fs::path& folder, Values values) {
  Inspection inspection{.path = folder.string(), .kind = "NKAT-SO8T adapter"};
  add_adapter(inspection, folder, values);
  finish(inspection, values);
  return inspection;
}

Inspection inspect_checkpoint(const fs::path& folder, Values values) {
  verify_manifest(folder);
  Inspection inspection{.path = folder.string(), .kind = "checkpoint of an NKAT-SO8T run"};
  inspection.holds("every file has the size and the SHA-256 of manifest.json");
  const fs::path state_path = folder / kStateJson;
  inspection.facts["state"] = parse_json(read_file(state_path, kLargestState), state_path.string());
  add_adapter(inspection, folder, values);
  add_file(inspection, SafetensorsFile(folder / kStateTensors), values);
  finish(inspection, values);
  return inspection;
}

// ---- tokenizer.model

const char* piece_type_name(PieceType type) {
  switch (type) {
    case PieceType::kNormal: return "normal";
    case PieceType::kUnknown: return "unknown";
    case PieceType::kControl: return "control";
    case PieceType::kUserDefined: return "user_defined";
    case PieceType::kUnused: return "unused";
    case PieceType::kByte: return "byte";
  }
  return "";
}

Inspection inspect_tokenizer(const fs::path& path) {
  const std::string bytes = read_file(path, kLargestModel);
  const std::vector<Piece> pieces = parse_sentencepiece_model(bytes, path.string());
  Inspection inspection{.path = path.string(), .kind = "tokenizer.model"};
  std::map<std::string, std::uint64_t> types;
  std::size_t longest = 0;
  for (std::size_t id = 0; id < pieces.size(); ++id) {
    types[piece_type_name(pieces[id].type)] += 1;
    if (pieces[id].text.size() > pieces[longest].text.size()) longest = id;
  }
  inspection.facts["bytes"] = bytes.size();
  inspection.facts["pieces"] = pieces.size();
  inspection.facts["types"] = types;
  inspection.facts["longest_piece"] = fmt::format("{}: {}", longest, pieces[longest].text);
  inspection.holds("a byte-pair model with byte fallback, as Phi-3's; pieces are unique, all 256 bytes there");
  return inspection;
}

// ---- which kind it is

Inspection inspect_folder(const fs::path& folder, Values values) {
  const auto has = [&](const char* name) { return fs::exists(folder / name); };
  if (has(kManifest)) return inspect_checkpoint(folder, values);
  if (has(kAdapterConfigFile) || has(kAdapterModelFile)) return inspect_adapter(folder, values);
  if (has("model.safetensors") || has("model.safetensors.index.json")) return inspect_model_folder(folder, values);
  if (has(kCheckpointsFolder) || has(kMetricsFile)) {
    throw DataError(fmt::format("{}: this is the folder of a run; give one of its checkpoints, or use nkat validate",
                                folder.string()));
  }
  throw DataError(
      fmt::format("{}: {}", folder.string(),
                  expected(fmt::format("a folder with {}, {} or model.safetensors", kManifest, kAdapterConfigFile),
                           "none of them")));
}

// The first bytes, as many of at most `count` as there are.
std::string first_bytes(const fs::path& path, std::size_t count) {
  const MappedFile map(path);
  const auto bytes = map.bytes().first(std::min(count, map.bytes().size()));
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

Inspection inspect(const fs::path& path, Values values) {
  std::error_code error;
  if (!fs::exists(path, error)) throw DataError(fmt::format("{}: there is nothing of that name", path.string()));
  if (fs::is_directory(path, error)) return inspect_folder(path, values);
  const std::string extension = path.extension().string();
  const std::string start = first_bytes(path, 9);
  if (extension == ".gguf" || start.starts_with(gguf::kMagic)) return inspect_gguf(path, values);
  if (extension == ".safetensors" || (start.size() == 9 && start.back() == '{'))
    return inspect_safetensors(path, values);
  if (extension == ".model" || start.starts_with('\x0A')) return inspect_tokenizer(path);
  throw FormatError(fmt::format(
      "{}: {}", path.string(),
      expected("a GGUF file, a safetensors file or a tokenizer.model by its name or first bytes", "none of them")));
}

}  // namespace nkat::data
