#include "models/config_reader.h"

#include <cmath>

#include <fmt/format.h>

#include "core/error.h"
#include "core/json_object.h"
#include "core/message.h"

namespace nkat::models {
namespace {

using Json = ConfigReader::Json;

std::string shown(const Json& value) { return nkat::shown(&value); }

}  // namespace

ConfigReader::ConfigReader(std::string file, const Json& root) : file_(std::move(file)) {
  if (!root.is_object()) fail("", "a JSON object", shown(root));
  top_ = {{"", &root}};
  for (const char* key : {"rope_parameters", "rope_scaling"}) {
    const auto found = root.find(key);
    if (found == root.end() || found->is_null()) continue;
    if (!found->is_object()) fail(key, "an object or null", shown(*found));
    for (const auto& entry : found->items()) {
      if (entry.value().is_object())
        fail(fmt::format("{}.{}", key, entry.key()), "a value for all layers", "an object for one kind of layer");
    }
    rope_.push_back({std::string(key) + ".", &*found});
  }
}

void ConfigReader::fail(const std::string& key, const std::string& wanted, const std::string& found) const {
  const std::string where = key.empty() ? file_ : fmt::format("{}: key {}", file_, key);
  throw FormatError(where + ": " + expected(wanted, found));
}

void ConfigReader::refuse(const std::string& message) const { throw FormatError(file_ + ": " + message); }

const Json* ConfigReader::anywhere(const std::string& name) const {
  std::vector<Place> places = top_;
  places.insert(places.end(), rope_.begin(), rope_.end());
  return find({name}, places);
}

bool ConfigReader::names(const std::string& key) const { return top_.front().second->contains(key); }

std::int64_t ConfigReader::integer(const std::string& key, const Json& value, std::int64_t minimum,
                                   std::int64_t maximum) const {
  const std::string wanted = fmt::format("an integer from {} to {}", minimum, maximum);
  if (!value.is_number_integer()) fail(key, wanted, shown(value));
  if (value.is_number_unsigned() && value.get<std::uint64_t>() > static_cast<std::uint64_t>(maximum)) {
    fail(key, wanted, shown(value));
  }
  const auto number = value.get<std::int64_t>();
  if (number < minimum || number > maximum) fail(key, wanted, shown(value));
  return number;
}

std::int64_t ConfigReader::size(const std::string& key) const {
  const Json* value = top({key});
  if (value == nullptr) refuse(fmt::format("key {} is missing; a model's config has it", key));
  return integer(key, *value, 1, kLargestSize);
}

std::int64_t ConfigReader::size(const std::string& key, std::int64_t absent) const {
  const Json* value = top({key});
  return value ? integer(key, *value, 1, kLargestSize) : absent;
}

double ConfigReader::positive(const std::string& key, const Json* value, double absent) const {
  if (value == nullptr) return absent;
  if (!value->is_number()) fail(key, "a number above 0", shown(*value));
  const auto number = value->get<double>();
  if (!(number > 0) || !std::isfinite(number)) fail(key, "a number above 0", shown(*value));
  return number;
}

bool ConfigReader::flag(const std::string& key, bool absent) const {
  const Json* value = top({key});
  if (value == nullptr) return absent;
  if (!value->is_boolean()) fail(key, "true or false", shown(*value));
  return value->get<bool>();
}

std::string ConfigReader::word(const std::string& key, const Json* value) const {
  if (value == nullptr) return "";
  if (!value->is_string()) fail(key, "a string", shown(*value));
  return value->get<std::string>();
}

const Json* ConfigReader::find(const std::vector<std::string>& names, const std::vector<Place>& places) const {
  const Json* first = nullptr;
  std::string first_key;
  for (const auto& [prefix, object] : places) {
    for (const std::string& name : names) {
      const auto found = object->find(name);
      if (found == object->end() || found->is_null()) continue;
      if (first == nullptr) {
        first = &*found;
        first_key = prefix + name;
      } else if (*first != *found) {
        refuse(fmt::format("{} is {} but {}{} is {}; they must agree", first_key, shown(*first), prefix, name,
                           shown(*found)));
      }
    }
  }
  return first;
}

}  // namespace nkat::models
