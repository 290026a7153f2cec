// Typed, checked access to the keys of one JSON object that comes from outside.
//
// Every error is a FormatError "<where>: key '<key>': expected ..., found ..."; no text of the JSON library reaches the
// user. A null value counts as absent, except for numbers, where it stands for NaN (core/json.h writes NaN as null).
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace nkat {

// A JSON value as it appears in a message: its text, shortened; "nothing" for nullptr.
std::string shown(const nlohmann::ordered_json* value);

class JsonObject {
 public:
  using Json = nlohmann::ordered_json;
  static constexpr std::int64_t kLargest = std::numeric_limits<std::int64_t>::max();

  // where: opens each message ("config.json", "train.jsonl:7"). FormatError unless json is an object. json must outlive
  // the reader.
  JsonObject(const Json& json, std::string where);

  const std::string& where() const { return where_; }
  bool has(std::string_view key) const { return find(key) != nullptr; }
  const Json* find(std::string_view key) const;  // nullptr: absent or null

  std::int64_t integer(std::string_view key, std::int64_t minimum = 0, std::int64_t maximum = kLargest) const;
  double number(std::string_view key) const;                // null: NaN
  std::vector<double> numbers(std::string_view key) const;  // a list; null elements: NaN
  std::string string(std::string_view key) const;
  bool boolean(std::string_view key) const;
  const Json& list(std::string_view key) const;
  JsonObject object(std::string_view key) const;  // its where() is "<where>: <key>"

  // Nothing where the key is absent or null.
  std::optional<std::int64_t> optional_integer(std::string_view key, std::int64_t minimum = 0,
                                               std::int64_t maximum = kLargest) const;
  std::optional<double> optional_number(std::string_view key) const;
  std::optional<std::string> optional_string(std::string_view key) const;

  // Of a format whose versions count from 1. NewerFormatError for a version above `newest`.
  void require_version(std::string_view key, std::int64_t newest) const;

  // Throws the error that the key's value is not `wanted`.
  [[noreturn]] void fail(std::string_view key, std::string_view wanted, std::string_view next = {}) const;

 private:
  const Json* value(std::string_view key) const;  // nullptr: absent; null is a value
  std::string complaint(std::string_view key, std::string_view wanted, std::string_view next) const;

  const Json& json_;
  std::string where_;
};

}  // namespace nkat
