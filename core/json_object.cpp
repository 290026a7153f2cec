#include "core/json_object.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/json.h"
#include "core/message.h"
#include "core/utf8.h"

namespace nkat {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kLongestShown = 60;

double number_or_nan(const Json& value) {
  return value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>();
}

bool is_number_or_null(const Json& value) { return value.is_number() || value.is_null(); }

}  // namespace

std::string shown(const Json* value) {
  return value == nullptr ? "nothing" : ellipsize(dump_json(*value), kLongestShown);
}

JsonObject::JsonObject(const Json& json, std::string where) : json_(json), where_(std::move(where)) {
  if (!json.is_object()) throw FormatError(fmt::format("{}: {}", where_, expected("a JSON object", shown(&json))));
}

const Json* JsonObject::value(std::string_view key) const {
  const auto entry = json_.find(key);
  return entry == json_.end() ? nullptr : &*entry;
}

const Json* JsonObject::find(std::string_view key) const {
  const Json* found = value(key);
  return found == nullptr || found->is_null() ? nullptr : found;
}

std::int64_t JsonObject::integer(std::string_view key, std::int64_t minimum, std::int64_t maximum) const {
  const Json* found = find(key);
  const bool fits =
      found != nullptr && found->is_number_integer() &&
      (!found->is_number_unsigned() || found->get<std::uint64_t>() <= static_cast<std::uint64_t>(kLargest));
  const std::int64_t number = fits ? found->get<std::int64_t>() : 0;
  if (fits && number >= minimum && number <= maximum) return number;
  fail(key, maximum == kLargest ? fmt::format("a whole number of at least {}", minimum)
                                : fmt::format("a whole number from {} to {}", minimum, maximum));
}

double JsonObject::number(std::string_view key) const {
  const Json* found = value(key);
  if (found == nullptr || !is_number_or_null(*found)) fail(key, "a number");
  return number_or_nan(*found);
}

std::vector<double> JsonObject::numbers(std::string_view key) const {
  std::vector<double> numbers;
  for (const Json& one : list(key)) {
    if (!is_number_or_null(one)) fail(key, "a list of numbers");
    numbers.push_back(number_or_nan(one));
  }
  return numbers;
}

std::string JsonObject::string(std::string_view key) const {
  const Json* found = find(key);
  if (found == nullptr || !found->is_string()) fail(key, "a string");
  return found->get<std::string>();
}

bool JsonObject::boolean(std::string_view key) const {
  const Json* found = find(key);
  if (found == nullptr || !found->is_boolean()) fail(key, "true or false");
  return found->get<bool>();
}

const Json& JsonObject::list(std::string_view key) const {
  const Json* found = find(key);
  if (found == nullptr || !found->is_array()) fail(key, "a list");
  return *found;
}

JsonObject JsonObject::object(std::string_view key) const {
  const Json* found = find(key);
  if (found == nullptr || !found->is_object()) fail(key, "an object");
  return {*found, fmt::format("{}: {}", where_, key)};
}

std::optional<std::int64_t> JsonObject::optional_integer(std::string_view key, std::int64_t minimum,
                                                         std::int64_t maximum) const {
  return has(key) ? std::optional(integer(key, minimum, maximum)) : std::nullopt;
}

std::optional<double> JsonObject::optional_number(std::string_view key) const {
  return has(key) ? std::optional(number(key)) : std::nullopt;
}

std::optional<std::string> JsonObject::optional_string(std::string_view key) const {
  return has(key) ? std::optional(string(key)) : std::nullopt;
}

void JsonObject::require_version(std::string_view key, std::int64_t newest) const {
  if (integer(key, 1) <= newest) return;
  throw NewerFormatError(complaint(key, fmt::format("at most {}", newest),
                                   "a newer nkat wrote it: use that version of nkat, or a later one"));
}

void JsonObject::fail(std::string_view key, std::string_view wanted, std::string_view next) const {
  throw FormatError(complaint(key, wanted, next));
}

std::string JsonObject::complaint(std::string_view key, std::string_view wanted, std::string_view next) const {
  return fmt::format("{}: key '{}': {}", where_, ellipsize(key), expected(wanted, shown(value(key)), next));
}

}  // namespace nkat
