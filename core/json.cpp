#include "core/json.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "core/error.h"

namespace nkat {

nlohmann::ordered_json parse_json(std::string_view text, const std::string& source, int max_depth) {
  using Event = nlohmann::ordered_json::parse_event_t;
  std::vector<std::set<std::string>> keys;
  const auto watch = [&](int depth, Event event, nlohmann::ordered_json& value) {
    if (depth > max_depth) throw FormatError(fmt::format("{}: JSON nested deeper than {} levels", source, max_depth));
    if (event == Event::object_start) keys.emplace_back();
    if (event == Event::object_end) keys.pop_back();
    if (event == Event::key && !keys.back().insert(value.get_ref<const std::string&>()).second) {
      throw FormatError(fmt::format("{}: the key '{}' stands twice", source, value.get<std::string>()));
    }
    return true;
  };
  try {
    return nlohmann::ordered_json::parse(text, watch);
  } catch (const nlohmann::json::parse_error& error) {
    throw FormatError(fmt::format("{}: not valid JSON at byte {}: {}", source, error.byte, error.what()));
  } catch (const nlohmann::json::out_of_range& error) {
    throw FormatError(fmt::format("{}: a number is out of range: {}", source, error.what()));
  }
}

}  // namespace nkat
