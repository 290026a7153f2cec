// JSON from outside, parsed with limits: at most `max_depth` levels, no duplicate keys, no bytes after the value.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace nkat {

inline constexpr int kJsonMaxDepth = 64;

// Throws FormatError "<source>: ..." with the byte at which the text breaks a rule.
nlohmann::ordered_json parse_json(std::string_view text, const std::string& source, int max_depth = kJsonMaxDepth);

// The same for texts whose objects may hold very many keys (a lookup in ordered_json walks over all of them). Of the
// outermost object only `wanted_keys` are kept; none given: all.
nlohmann::json parse_large_json(std::string_view text, const std::string& source,
                                const std::vector<std::string>& wanted_keys = {}, int max_depth = kJsonMaxDepth);

}  // namespace nkat
