#include "validation/questions/answer_parser.h"

#include <algorithm>
#include <string>

#include "core/utf8.h"
#include "data/datasets/record.h"

namespace nkat::validation {
namespace {

constexpr std::string_view kHeading = "最終回答";
constexpr std::string_view kHashes = "####";
constexpr std::string_view kWideColon = "：";

// 0 outside the text.
char32_t code_point_at(std::string_view text, std::size_t position) {
  return position < text.size() ? decode_code_point(text, position).value : U'\0';
}
char32_t code_point_before(std::string_view text, std::size_t position) {
  if (position == 0) return U'\0';
  std::size_t begin = position - 1;
  while (begin > 0 && position - begin < 4 && (static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) --begin;
  return decode_code_point(text, begin).value;
}

bool is_space(char32_t c) { return c == U'\0' || is_unicode_white_space(c); }

// Letters of the scripts that write a word's letters next to each other, digits, and what is invisible between them.
bool is_word_character(char32_t c) {
  if (c == U'_' || (c >= U'0' && c <= U'9') || (c >= U'a' && c <= U'z') || (c >= U'A' && c <= U'Z')) return true;
  const bool letter = (c >= 0xC0 && c <= 0x58F && c != 0xD7 && c != 0xF7) || (c >= 0x1E00 && c <= 0x1FFF);
  const bool full_width = (c >= 0xFF10 && c <= 0xFF19) || (c >= 0xFF21 && c <= 0xFF3A) || (c >= 0xFF41 && c <= 0xFF5A);
  const bool invisible = c == 0xAD || (c >= 0x200B && c <= 0x200D) || c == 0x2060 || c == 0xFEFF;
  return letter || full_width || invisible;
}

bool is_joint(char32_t c) { return c == U'-' || c == U'\'' || c == 0x2010 || c == 0x2011 || c == 0x2019; }

std::size_t length_of(std::string_view text, std::size_t position) {
  return position < text.size() ? decode_code_point(text, position).length : 0;
}

bool is_whole_word(std::string_view text, std::size_t begin, std::size_t end) {
  const char32_t left = code_point_before(text, begin), right = code_point_at(text, end);
  if (is_word_character(left) || is_word_character(right)) return false;
  if (is_joint(right) && is_word_character(code_point_at(text, end + length_of(text, end)))) return false;
  const std::size_t joint_bytes = left < 0x80 ? 1 : 3;
  return !(is_joint(left) && is_word_character(code_point_before(text, begin - joint_bytes)));
}

// Where the text behind the last "# 最終回答" begins.
std::optional<std::size_t> behind_last_heading(std::string_view text) {
  for (std::size_t at = text.rfind(kHeading); at != std::string_view::npos;
       at = at == 0 ? std::string_view::npos : text.rfind(kHeading, at - 1)) {
    std::size_t hashes = at;
    while (hashes > 0 && (text[hashes - 1] == ' ' || text[hashes - 1] == '\t')) --hashes;
    std::size_t begin = hashes;
    while (begin > 0 && text[begin - 1] == '#') --begin;
    std::size_t end = at + kHeading.size();
    const bool colon = text.substr(end).starts_with(':'), wide_colon = text.substr(end).starts_with(kWideColon);
    if (begin == hashes || !is_space(code_point_before(text, begin))) continue;
    if (!colon && !wide_colon && !is_space(code_point_at(text, end))) continue;
    return end + (colon ? 1 : wide_colon ? kWideColon.size() : 0);
  }
  return std::nullopt;
}

// Calls `take` with each line and its offset until it returns true.
template <class Take>
void each_line(std::string_view text, const Take& take) {
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find_first_of("\n\r", begin), text.size());
    if (take(text.substr(begin, end - begin), begin)) return;
    begin = end + 1;
  }
}

bool is_blank(std::string_view line) {
  for (std::size_t i = 0; i < line.size(); i += length_of(line, i)) {
    if (!is_space(code_point_at(line, i))) return false;
  }
  return true;
}

bool holds_digit(std::string_view line) {
  for (std::size_t i = 0; i < line.size(); i += length_of(line, i)) {
    const char32_t c = code_point_at(line, i);
    if ((c >= U'0' && c <= U'9') || (c >= 0xFF10 && c <= 0xFF19)) return true;
  }
  return false;
}

}  // namespace

std::vector<NamedLabel> label_words(std::string_view text) {
  std::vector<NamedLabel> words;
  for (std::size_t label = 0; label < data::kFourClasses.size(); ++label) {
    const std::string_view word = data::kFourClasses[label];
    for (std::size_t at = text.find(word); at != std::string_view::npos; at = text.find(word, at + 1)) {
      if (is_whole_word(text, at, at + word.size())) words.push_back({label, at, at + word.size()});
    }
  }
  std::ranges::sort(words, {}, &NamedLabel::begin);
  return words;
}

std::optional<NamedLabel> parse_label(std::string_view answer) {
  const std::size_t start = behind_last_heading(answer).value_or(0);
  std::optional<NamedLabel> found;
  each_line(answer.substr(start), [&](std::string_view line, std::size_t offset) {
    const std::vector<NamedLabel> words = label_words(line);
    if (words.empty()) return false;
    const bool one = std::ranges::all_of(words, [&](const NamedLabel& word) { return word.label == words[0].label; });
    const std::size_t line_begin = start + offset;
    if (one) found = {words[0].label, line_begin + words[0].begin, line_begin + words[0].end};
    return true;
  });
  return found;
}

std::optional<Decimal> parse_number(std::string_view answer) {
  const std::optional<std::size_t> heading = behind_last_heading(answer);
  const std::size_t hashes = answer.rfind(kHashes);
  if (!heading && hashes == std::string_view::npos) return std::nullopt;
  std::size_t start = heading.value_or(0);
  // The hashes of a heading are its own.
  if (hashes != std::string_view::npos && hashes + kHashes.size() > start) start = hashes + kHashes.size();
  std::optional<Decimal> number;
  each_line(answer.substr(start), [&](std::string_view line, std::size_t) {
    if (is_blank(line)) return false;
    number = number_in_line(line);
    return true;
  });
  return number;
}

std::optional<Decimal> last_number(std::string_view answer) {
  std::optional<Decimal> number;
  each_line(answer, [&](std::string_view line, std::size_t) {
    if (holds_digit(line)) number = number_in_line(line);
    return false;
  });
  return number;
}

}  // namespace nkat::validation
