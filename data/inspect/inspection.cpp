#include "data/inspect/inspection.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/json.h"
#include "core/utf8.h"
#include "data/formats/gguf_format.h"
#include "data/run/checkpoint_files.h"

namespace nkat::gguf {
namespace {

using Json = nlohmann::ordered_json;

std::uint64_t elements_of(const InspectedTensor& tensor) {
  std::uint64_t elements = 1;
  for (const std::uint64_t one : tensor.shape) elements *= one;
  return elements;
}

Inspection inspect_folder(const fs::path& folder, Values values) {
  const auto has = [&](const char* name) { return fs::exists(folder / name); };
  if (has(data::kManifest)) return inspect_checkpoint(folder, values);
  if (has(data::kAdapterConfigFile) || has(data::kAdapterModelFile)) return inspect_adapter(folder, values);
  if (has("model.safetensors") || has("model.safetensors.index.json")) return inspect_model_folder(folder, values);
  if (has("checkpoints") || has("metrics.jsonl")) {
    throw DataError(fmt::format("{}: this is the folder of a run; give one of its checkpoints, or use nkat validate",
                                folder.string()));
  }
  throw DataError(fmt::format("{}: a folder with {}, {} or model.safetensors was expected, found none of them",
                              folder.string(), data::kManifest, data::kAdapterConfigFile));
}

// The first bytes, as many of at most `count` as there are.
std::string first_bytes(const fs::path& path, std::size_t count) {
  const MappedFile map(path);
  const auto bytes = map.bytes().first(std::min(count, map.bytes().size()));
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string value_text(const Json& value) {
  const std::string text = value.is_string() ? value.get<std::string>() : dump_json(value);
  std::string line;
  for (const char c : ellipsize(text, 160)) {
    if (c == '\n') {
      line += "\\n";
    } else {
      line += static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? '?' : c;  // a terminal obeys them
    }
  }
  return line;
}

void add_facts(std::string& text, const Json& facts, const std::string& indent) {
  std::size_t widest = 0;
  for (const auto& fact : facts.items()) widest = std::max(widest, fact.key().size());
  for (const auto& [name, value] : facts.items()) {
    if (value.is_object() && !value.empty()) {
      text += fmt::format("{}{}\n", indent, name);
      add_facts(text, value, indent + "  ");
    } else {
      text += fmt::format("{}{:<{}}  {}\n", indent, name, std::min<std::size_t>(widest, 48), value_text(value));
    }
  }
}

}  // namespace

void Inspection::holds(std::string check) { checks.push_back(std::move(check)); }

Inspection inspect(const fs::path& path, Values values) {
  std::error_code error;
  if (!fs::exists(path, error)) throw DataError(fmt::format("{}: there is nothing of that name", path.string()));
  if (fs::is_directory(path, error)) return inspect_folder(path, values);
  const std::string extension = path.extension().string();
  const std::string start = first_bytes(path, 9);
  if (extension == ".gguf" || start.starts_with(kMagic)) return inspect_gguf(path, values);
  if (extension == ".safetensors" || (start.size() == 9 && start.back() == '{'))
    return inspect_safetensors(path, values);
  if (extension == ".model" || start.starts_with('\x0A')) return inspect_tokenizer(path);
  throw FormatError(
      fmt::format("{}: a GGUF file, a safetensors file or a tokenizer.model was expected; by name and first bytes it "
                  "is none of them",
                  path.string()));
}

void add_totals(Inspection& inspection) {
  std::uint64_t elements = 0;
  std::uint64_t bytes = 0;
  std::map<std::string, std::pair<std::uint64_t, std::uint64_t>> types;  // tensors and bytes
  for (const InspectedTensor& tensor : inspection.tensors) {
    elements += elements_of(tensor);
    bytes += tensor.bytes;
    types[tensor.type].first += 1;
    types[tensor.type].second += tensor.bytes;
  }
  inspection.facts["tensors"] = inspection.tensors.size();
  inspection.facts["elements"] = elements;
  inspection.facts["data_bytes"] = bytes;
  Json by_type = Json::object();
  for (const auto& [type, counts] : types)
    by_type[type] = fmt::format("{} tensors, {} bytes", counts.first, counts.second);
  inspection.facts["types"] = by_type;
}

std::string to_text(const Inspection& inspection) {
  std::string text = fmt::format("{}: {}\n", inspection.path, inspection.kind);
  add_facts(text, inspection.facts, "  ");
  std::size_t widest = 0;
  for (const InspectedTensor& tensor : inspection.tensors) widest = std::max(widest, tensor.name.size());
  for (const InspectedTensor& tensor : inspection.tensors) {
    text += fmt::format("  {:<{}}  {:<7} [{}]\n", tensor.name, widest, tensor.type, fmt::join(tensor.shape, ", "));
  }
  for (const std::string& check : inspection.checks) text += fmt::format("  holds: {}\n", check);
  return text;
}

Json to_json(const Inspection& inspection) {
  Json tensors = Json::array();
  for (const InspectedTensor& tensor : inspection.tensors) {
    tensors.push_back({{"name", tensor.name}, {"type", tensor.type}, {"shape", tensor.shape}, {"bytes", tensor.bytes}});
  }
  Json json = {{"path", inspection.path}, {"kind", inspection.kind}};
  json.update(inspection.facts);
  json["tensor_list"] = std::move(tensors);
  json["checks"] = inspection.checks;
  return json;
}

}  // namespace nkat::gguf
