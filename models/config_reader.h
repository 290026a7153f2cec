// Typed, range-checked access to the keys of config.json, at its top level and inside its rope objects.
// `null` counts as absent. Every error is a FormatError that names file and key.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

namespace nkat::models {

class ConfigReader {
 public:
  using Json = nlohmann::ordered_json;

  // `root` must outlive this.
  ConfigReader(std::string file, const Json& root);

  // "config.json: key hidden_size: expected ..., found ..."
  [[noreturn]] void fail(const std::string& key, const std::string& wanted, const std::string& found) const;
  // "config.json: ..."
  [[noreturn]] void refuse(const std::string& message) const;

  // Values under any of the names, which must agree; nullptr if there is none.
  const Json* top(const std::vector<std::string>& names) const { return find(names, top_); }
  const Json* rope(const std::vector<std::string>& names) const { return find(names, rope_); }
  const Json* anywhere(const std::string& name) const;
  // The key is there, if only as null.
  bool names(const std::string& key) const;
  bool has_rope_object() const { return !rope_.empty(); }

  std::int64_t integer(const std::string& key, const Json& value, std::int64_t minimum, std::int64_t maximum) const;
  // A positive size of at most 2^24; without `absent` the key is needed.
  std::int64_t size(const std::string& key) const;
  std::int64_t size(const std::string& key, std::int64_t absent) const;
  double positive(const std::string& key, const Json* value, double absent) const;
  bool flag(const std::string& key, bool absent) const;
  std::string word(const std::string& key, const Json* value) const;  // "" if there is none

 private:
  using Place = std::pair<std::string, const Json*>;

  const Json* find(const std::vector<std::string>& names, const std::vector<Place>& places) const;

  std::string file_;
  std::vector<Place> top_;
  std::vector<Place> rope_;
};

inline constexpr std::int64_t kLargestSize = std::int64_t{1} << 24;

}  // namespace nkat::models
