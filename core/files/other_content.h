// What a failed download leaves under a file's name: nothing, a web page, or a server's short message. Told by the first
// bytes, so that a reader of a binary format doesn't speak of lengths and fields.
#pragma once

#include <string>
#include <string_view>

namespace nkat {

// Does the text begin as HTML or XML does, in any case, behind white space and a byte-order mark?
bool is_web_page(std::string_view bytes);

// "an empty file", "a web page", "the text 'Entry not found'"; "" for anything else. bytes: of the whole file.
std::string other_content(std::string_view bytes);

// FormatError "<source>: expected <wanted>, found a web page; ..." where other_content() knows the bytes.
void refuse_other_content(std::string_view bytes, std::string_view wanted, std::string_view source);

}  // namespace nkat
