// JSON from outside, parsed with limits: at most `max_depth` levels, no duplicate keys, no bytes after the value, no
// string or number of more than 4 MiB, and no more values than fit in 48 MiB, so that parsing takes at most 64 MiB
// besides the text. And JSON output for strings and numbers that JSON can't represent.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace nkat {

inline constexpr int kJsonMaxDepth = 64;

// FormatError "<source>: ..." with the byte at which the text breaks a rule. An object has at most 4,096 keys.
nlohmann::ordered_json parse_json(std::string_view text, const std::string& source, int max_depth = kJsonMaxDepth);

// The same for objects of very many keys (a lookup in ordered_json is linear). Of the top-level object only
// `wanted_keys` are kept; none given: all.
nlohmann::json parse_large_json(std::string_view text, const std::string& source,
                                const std::vector<std::string>& wanted_keys = {}, int max_depth = kJsonMaxDepth);

// Calls `handle` for each entry of the top-level object, in the text's order, so that only one value is in memory at a
// time. Duplicate top-level keys are not rejected; the caller checks. FormatError unless the text is an object.
using JsonEntryHandler = std::function<void(const std::string& key, const nlohmann::json& value)>;
void for_each_json_entry(std::string_view text, const std::string& source, const JsonEntryHandler& handle,
                         int max_depth = kJsonMaxDepth);

// The same for files whose entries are large themselves: the objects and lists under the paths `opened` ("model",
// "model.vocab") are not handed over but their own entries are. `inside` is the path of what holds the entry, empty for
// the top-level object; the entries of a list have an empty key.
using JsonPartHandler =
    std::function<void(const std::string& inside, const std::string& key, const nlohmann::json& value)>;
void for_each_json_part(std::string_view text, const std::string& source, const std::vector<std::string>& opened,
                        const JsonPartHandler& handle, int max_depth = kJsonMaxDepth);

// On one line, or with `indent` spaces per level; bytes that are not UTF-8 become U+FFFD.
std::string dump_json(const nlohmann::ordered_json& json, int indent = -1);
// JSON has no NaN and no infinity: they are written as null.
nlohmann::ordered_json finite_or_null(double value);

}  // namespace nkat
