// JSON from outside, parsed with limits: at most `max_depth` levels, no duplicate keys, no bytes after the value, no
// text or number of more than 4 MiB, and no more values than 48 MiB hold, so that reading takes at most 64 MiB above
// the text. And how JSON is written where a text or a number may be one that JSON has no form for.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace nkat {

inline constexpr int kJsonMaxDepth = 64;

// Throws FormatError "<source>: ..." with the byte at which the text breaks a rule. An object has at most 4,096 keys.
nlohmann::ordered_json parse_json(std::string_view text, const std::string& source, int max_depth = kJsonMaxDepth);

// The same for texts whose objects may hold very many keys (a lookup in ordered_json walks over all of them). Of the
// outermost object only `wanted_keys` are kept; none given: all.
nlohmann::json parse_large_json(std::string_view text, const std::string& source,
                                const std::vector<std::string>& wanted_keys = {}, int max_depth = kJsonMaxDepth);

// One call for each entry of the outermost object, in the text's order, so that only one value is held at a time. The
// outermost keys may stand twice: the caller looks after them. Anything but an object is refused.
using JsonEntryHandler = std::function<void(const std::string& key, const nlohmann::json& value)>;
void for_each_json_entry(std::string_view text, const std::string& source, const JsonEntryHandler& handle,
                         int max_depth = kJsonMaxDepth);

// As text, on one line or with `indent` spaces a level; bytes that are no UTF-8 become U+FFFD.
std::string dump_json(const nlohmann::ordered_json& json, int indent = -1);
// JSON has no NaN and no infinity: they are written as null.
nlohmann::ordered_json finite_or_null(double value);

}  // namespace nkat
