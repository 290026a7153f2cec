// Parts of messages: the one wording of "expected X, found Y; do Z" for every error about an input, the first line of a
// text, and words quoted for sh.
//
//   throw DataError(fmt::format("{}: {}", where, expected("a JSON object", "an array")));
//   throw ConfigError("--device: " + expected("auto, cpu or cuda:N", "'gpu'"));
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace nkat {

// "expected <wanted>, found <found>" and, where a next step is given, "; <next>".
std::string expected(std::string_view wanted, std::string_view found, std::string_view next = {});

// "one of a, b, c".
std::string one_of(const std::vector<std::string>& names);

// The text up to its first line break: libraries add a stack trace below.
std::string first_line(std::string_view text);

// A word of a command that the reader may copy. Unchanged if no character is special to sh; else in single quotes.
std::string shell_quoted(std::string_view word);

}  // namespace nkat
