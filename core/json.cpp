#include "core/json.h"

#include <fmt/format.h>
#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "core/error.h"

namespace nkat {
namespace {

template <class Json>
Json parse(std::string_view text, const std::string& source, const std::vector<std::string>& wanted_keys,
           int max_depth) {
  using Event = typename Json::parse_event_t;
  std::vector<std::set<std::string>> keys;
  const auto watch = [&](int depth, Event event, Json& value) {
    if (depth > max_depth) throw FormatError(fmt::format("{}: JSON nested deeper than {} levels", source, max_depth));
    if (event == Event::object_start) keys.emplace_back();
    if (event == Event::object_end) keys.pop_back();
    if (event != Event::key) return true;
    const std::string& key = value.template get_ref<const std::string&>();
    if (!keys.back().insert(key).second) throw FormatError(fmt::format("{}: the key '{}' stands twice", source, key));
    return depth > 1 || wanted_keys.empty() || std::ranges::find(wanted_keys, key) != wanted_keys.end();
  };
  try {
    return Json::parse(text, watch);
  } catch (const nlohmann::json::parse_error& error) {
    // The library's text opens with its own error number and position, up to the first colon.
    const std::string text_of_library = error.what();
    const std::size_t colon = text_of_library.find(": ");
    throw FormatError(fmt::format("{}: not valid JSON at byte {}: {}", source, error.byte,
                                  colon == std::string::npos ? text_of_library : text_of_library.substr(colon + 2)));
  } catch (const nlohmann::json::out_of_range& error) {
    throw FormatError(fmt::format("{}: a number is out of range: {}", source, error.what()));
  }
}

}  // namespace

nlohmann::ordered_json parse_json(std::string_view text, const std::string& source, int max_depth) {
  return parse<nlohmann::ordered_json>(text, source, {}, max_depth);
}

nlohmann::json parse_large_json(std::string_view text, const std::string& source,
                                const std::vector<std::string>& wanted_keys, int max_depth) {
  return parse<nlohmann::json>(text, source, wanted_keys, max_depth);
}

}  // namespace nkat
