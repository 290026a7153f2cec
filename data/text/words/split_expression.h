// The expressions that cut a text into words before byte-pair merging (`pre_tokenizer` of tokenizer.json), with the matches
// of Hugging Face's `tokenizers`, which runs them by Oniguruma in Ruby's syntax on a newer Unicode than PCRE2 knows.
//
// So the expression is read here and PCRE2 never sees Unicode: code points that no class of the expression tells apart
// share a byte (those below 128 are their own), the text is searched in these bytes, and every class is a set of bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/text/added_tokens.h"

namespace nkat::data {

class SplitExpression {
 public:
  // In the syntax of split_expression_reader.h, which refuses what it doesn't know. source: the file's name, for messages.
  SplitExpression(std::string_view expression, const std::string& source);
  SplitExpression(SplitExpression&&) noexcept;
  ~SplitExpression();

  // The text, which is valid UTF-8, as one byte a code point.
  void to_bytes(std::string_view utf8, std::string& bytes) const;
  // The first match at or behind `from`. DataError where the search takes more steps than PCRE2 allows.
  std::optional<ByteRange> find(std::string_view bytes, std::size_t from) const;

 private:
  struct Compiled;
  std::vector<std::uint8_t> bytes_;
  std::unique_ptr<Compiled> compiled_;
};

// What GPT-2 cuts by, and ByteLevel with use_regex.
inline constexpr std::string_view kGpt2Expression =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

}  // namespace nkat::data
