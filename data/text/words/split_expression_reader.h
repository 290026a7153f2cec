// The syntax of split_expression.h's expressions: Oniguruma's, as far as tokenizers use it.
//
//   known    literals; \r \n \t \f \v \a \e \xHH \x{H} \uHHHH and escaped marks; . ^ $ \A \z; alternatives
//            \s \S \d \D \p{L} \p{Lu} \P{..} \p{^..} (general categories); [..], negated, nested, with &&
//            (..) (?:..) (?i:..) (?=..) (?!..) (?<=..) (?<!..) (?>..); * + ? {n} {n,} {,n} {n,m}, lazy ? and possessive +
//   refused  everything else, by name (FormatError); (?i:..) around other classes than of ASCII
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nkat::data {

// The expression over bytes instead of code points, and the byte of each code point.
struct ByteExpression {
  std::string pattern;              // PCRE2's syntax
  std::vector<std::uint8_t> bytes;  // by code point
};
// source: the file's name, for messages.
ByteExpression read_split_expression(std::string_view expression, const std::string& source);

// The expression that matches the text itself.
std::string quote_for_expression(std::string_view text);

}  // namespace nkat::data
