// Python's methods of strings for llama.cpp's Jinja engine (jinja/value.h), on code points, keeping exactly which bytes
// came from the input. The engine's own count bytes, know ASCII's white space only, and lose or spread the mark where a
// string has parts of both kinds or is cut in pieces.
//
//   strip lstrip rstrip (chars)   split rsplit (separator, maxsplit)   splitlines   join   replace (old, new, count)
//   removeprefix removesuffix   find   count   length   upper lower capitalize (ASCII; another letter with a case fails)
//
// https://docs.python.org/3/library/stdtypes.html#string-methods
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <jinja/value.h>

namespace nkat::data {

// Bytes and for each of them whether it came from the input.
struct MarkedText {
  std::string bytes;
  std::string marks;        // '\1' or '\0' a byte
  bool holds_mark = false;  // also of no byte: an empty content that was put here

  static MarkedText of(const jinja::string& string);
  jinja::value value() const;  // a string of as few parts as its marks need
  MarkedText part(std::size_t begin, std::size_t end) const;
  void append(const MarkedText& other);
};

// The engine's function of that name for strings, its first argument; null where the engine's own serves.
const jinja::func_handler* find_string_method(std::string_view name);

// list | join(separator, attribute): the engine's loses every mark.
jinja::value join_strings(const jinja::func_args& args);

// text[start:stop] and text[index] in code points; an index outside is undefined.
jinja::value slice_string(const jinja::value& string, std::optional<std::int64_t> start,
                          std::optional<std::int64_t> stop);
jinja::value string_item(const jinja::value& string, std::int64_t index);

}  // namespace nkat::data
