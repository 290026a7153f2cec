#include "data/inspect/inspection.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/json.h"
#include "core/utf8.h"

namespace nkat::data {
namespace {

using Json = nlohmann::ordered_json;

std::uint64_t elements_of(const InspectedTensor& tensor) {
  std::uint64_t elements = 1;
  for (const std::uint64_t one : tensor.shape) elements *= one;
  return elements;
}

// Shortened, on one line and without control characters: names and values come from the file.
std::string one_line(const std::string& text) {
  std::string line;
  for (const char c : ellipsize(text, 160)) {
    if (c == '\n') {
      line += "\\n";
    } else {
      line += static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? '?' : c;
    }
  }
  return line;
}

std::string value_text(const Json& value) {
  return one_line(value.is_string() ? value.get<std::string>() : dump_json(value));
}

void add_facts(std::string& text, const Json& facts, const std::string& indent) {
  std::size_t widest = 0;
  for (const auto& fact : facts.items()) widest = std::max(widest, fact.key().size());
  for (const auto& [key, value] : facts.items()) {
    const std::string name = one_line(key);
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

}  // namespace nkat::data
