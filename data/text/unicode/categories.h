// Classes of code points as the expressions of Hugging Face's `tokenizers` see them (its library of expressions has tables
// of a newer Unicode than PCRE2's).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace nkat::data {

inline constexpr char32_t kLastCodePoint = 0x10FFFF;

// General categories by number; a code point's is below their count.
inline constexpr std::array<std::string_view, 29> kCategoryNames = {
    "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps", "Pe",
    "Pi", "Pf", "Po", "Sm", "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Co", "Cn"};

// category_table.cpp: the first code point of each run of one category * 32 + the category.
std::span<const std::uint32_t> packed_category_runs();

// A set of code points: ranges with both ends, sorted, neither touching nor overlapping.
class CodePointSet {
 public:
  using Range = std::pair<char32_t, char32_t>;

  CodePointSet() = default;
  CodePointSet(char32_t first, char32_t last) : ranges_{{first, last}} {}
  // Those whose category's name begins like this ("L", "Lu"); empty if none does.
  static CodePointSet of_category(std::string_view prefix);
  static CodePointSet white_space();  // \s: Unicode's White_Space

  void add(const CodePointSet& other);
  CodePointSet complement() const;
  CodePointSet intersection(const CodePointSet& other) const;
  bool contains(char32_t code_point) const;
  bool empty() const { return ranges_.empty(); }
  const std::vector<Range>& ranges() const { return ranges_; }

 private:
  std::vector<Range> ranges_;
};

// Does it belong to a word, as a token with `single_word` asks? Letters, marks, digits, connectors, joiners.
bool is_word_character(char32_t code_point);

}  // namespace nkat::data
