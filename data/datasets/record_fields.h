// The fields of one record, each read by its key, and which of them training used: what the record carries besides is
// named, so that nothing is dropped without a word.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/json_object.h"

namespace nkat::data {

// With the letters A to Z as small ones: names in data files come in any case.
std::string lower_case(std::string text);

// A yes or no as data files write it: true, false, 0, 1, also as text. Nothing for any other value.
std::optional<bool> flag_of(const nlohmann::ordered_json& value);

// Is this a key that marks what is learned ("weight", "train", "loss", ..)?
bool is_learn_mark(std::string_view key);
// Does the key's value say whether a turn, or the record that holds it, is learned? FormatError "... expected 0, 1, true
// or false" for a mark that is no flag. Nothing where the key is no mark or its value null.
std::optional<bool> learn_mark(const JsonObject& object, std::string_view key);

// null, "", [] and {}
bool is_empty_value(const nlohmann::ordered_json& value);

class RecordFields {
 public:
  // FormatError unless json is an object. It must outlive the reader.
  RecordFields(const nlohmann::ordered_json& json, const std::string& where) : json_(json), object_(json, where) {}

  const JsonObject& object() const { return object_; }
  [[noreturn]] void fail(const std::string& error) const;

  bool has(std::string_view key) const { return object_.has(key); }
  const nlohmann::ordered_json& use(std::string_view key);  // of a key that is there
  std::string text(std::string_view key);                   // FormatError unless it is a string
  std::string text_or_empty(std::string_view key) { return has(key) ? text(key) : ""; }

  // The fields that were not used.
  nlohmann::ordered_json metadata() const;
  // Their names, but of those without a value and those that are accounted for; and what was noted.
  std::vector<std::string> unused() const;
  void account_for(std::string_view key) { accounted_.emplace(key); }
  void note_unused(const std::string& name);  // of something below a field

 private:
  const nlohmann::ordered_json& json_;
  JsonObject object_;
  std::set<std::string, std::less<>> used_;
  std::set<std::string, std::less<>> accounted_;
  std::set<std::string> noted_;
};

}  // namespace nkat::data
