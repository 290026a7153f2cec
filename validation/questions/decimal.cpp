#include "validation/questions/decimal.h"

#include <algorithm>
#include <array>

#include "core/utf8.h"

namespace nkat::validation {
namespace {

constexpr std::u32string_view kCurrencies = U"$¥€£";
// Directly behind digits these make them a part of something else.
constexpr std::u32string_view kExpressionAfter = U"√π²³½¼¾十百千万億兆";
constexpr std::array<std::u32string_view, 6> kScaleWords = {U"hundred", U"thousand", U"million",
                                                            U"billion", U"trillion", U"dozen"};

bool is_digit(char32_t c) { return c >= U'0' && c <= U'9'; }
bool is_letter(char32_t c) { return (c >= U'a' && c <= U'z') || (c >= U'A' && c <= U'Z'); }
char32_t lower(char32_t c) { return c >= U'A' && c <= U'Z' ? c + (U'a' - U'A') : c; }

// Full-width forms become ASCII; so do the minus sign, the yen sign and white space.
char32_t plain_form(char32_t c) {
  if (c >= 0xFF01 && c <= 0xFF5E) return c - 0xFF01 + U'!';
  if (c == 0x2212) return U'-';
  if (c == 0xFFE5) return U'¥';
  return is_unicode_white_space(c) ? U' ' : c;
}

std::u32string plain_text(std::string_view line) {
  std::u32string text;
  for (std::size_t i = 0; i < line.size();) {
    const DecodedCodePoint point = decode_code_point(line, i);
    text += plain_form(point.value);
    i += point.length;
  }
  return text;
}

bool all_digits(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

// "1,234" -> "1234", "12" -> "12"; nothing if a comma is misplaced.
std::optional<std::string> without_separators(std::string_view whole) {
  std::string digits;
  for (std::size_t begin = 0, group = 0; begin <= whole.size(); ++group) {
    const std::size_t end = std::min(whole.find(',', begin), whole.size());
    const std::string_view part = whole.substr(begin, end - begin);
    const bool only = group == 0 && end == whole.size();
    if (!all_digits(part) || (!only && (group == 0 ? part.size() > 3 : part.size() != 3))) return std::nullopt;
    digits += part;
    begin = end + 1;
  }
  return digits;
}

// One line, read from left to right.
class LineReader {
 public:
  explicit LineReader(std::u32string text) : text_(std::move(text)) {}

  std::optional<Decimal> only_number() {
    while (position_ < text_.size()) {
      if (!at_number()) {
        ++position_;
      } else if (belongs_to_word()) {
        position_ = end_of_digits();
      } else if (found_ || !read_number()) {
        return std::nullopt;
      }
    }
    return found_;
  }

 private:
  char32_t at(std::size_t i) const { return i < text_.size() ? text_[i] : U'\0'; }
  // The character `back` places before position i; 0 before the beginning.
  char32_t before(std::size_t i, std::size_t back = 1) const { return i >= back ? text_[i - back] : U'\0'; }

  bool at_number() const {
    return is_digit(at(position_)) || (at(position_) == U'.' && is_digit(at(position_ + 1)) &&
                                       before(position_) != U'.' && !is_letter(before(position_)));
  }

  std::size_t end_of_digits() const {
    std::size_t end = position_;
    while (is_digit(at(end)) || at(end) == U'.' || at(end) == U',') ++end;
    while (end > position_ + 1 && !is_digit(text_[end - 1])) --end;
    return end;
  }

  // cm2, x1, and m^2 or m^{2}
  bool belongs_to_word() const {
    std::size_t i = position_;
    if (is_letter(before(i)) || before(i) == U'_') return true;
    if (before(i) == U'{') --i;
    return before(i) == U'^' && (is_letter(before(i, 2)) || before(i, 2) == U'}');
  }

  bool is_negative() const {
    std::size_t i = position_;
    if (kCurrencies.find(before(i)) != std::u32string_view::npos && i > 0) --i;
    std::size_t sign = i;
    while (before(sign) == U' ') --sign;
    if (before(sign) != U'-') return false;
    --sign;
    if (sign + 1 == i) return !is_digit(before(sign)) && !is_letter(before(sign)) && before(sign) != U')';
    while (before(sign) == U' ') --sign;
    return before(sign) == U'=';
  }

  bool is_part_of_expression(std::size_t end) const {
    if (before(position_) == U'√' || before(position_) == U'±') return true;
    const char32_t next = at(end);
    if (next != U'\0' && kExpressionAfter.find(next) != std::u32string_view::npos) return true;
    if (next == U'^') return !is_degree(end + 1);
    const std::size_t exponent = end + (at(end + 1) == U'+' || at(end + 1) == U'-' ? 2U : 1U);
    if (lower(next) == U'e' && is_digit(at(exponent))) return true;
    return lower(next) == U'k' && !is_letter(at(end + 1));
  }

  bool is_degree(std::size_t i) const {
    if (at(i) == U'{') ++i;
    return at(i) == U'\\' || at(i) == U'°';
  }

  bool scale_word_follows(std::size_t i) const {
    while (at(i) == U' ') ++i;
    return std::ranges::any_of(kScaleWords, [&](std::u32string_view word) {
      return std::ranges::equal(std::u32string_view(text_).substr(i, word.size()), word, {}, lower);
    });
  }

  bool read_number() {
    const std::size_t end = end_of_digits();
    if (is_part_of_expression(end) || scale_word_follows(end)) return false;
    std::string digits = is_negative() ? "-" : "";
    if (at(position_) == U'.') digits += '0';
    for (std::size_t i = position_; i < end; ++i) digits += static_cast<char>(text_[i]);
    found_ = Decimal::parse(digits);
    position_ = end;
    return found_.has_value();
  }

  std::u32string text_;
  std::size_t position_ = 0;
  std::optional<Decimal> found_;
};

}  // namespace

std::optional<Decimal> Decimal::parse(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  const std::size_t point = text.find('.');
  std::optional<std::string> whole = without_separators(text.substr(0, point));
  if (!whole) return std::nullopt;
  std::string fraction;
  if (point != std::string_view::npos) {
    fraction = text.substr(point + 1);
    if (!all_digits(fraction)) return std::nullopt;
  }
  whole->erase(0, std::min(whole->find_first_not_of('0'), whole->size() - 1));
  fraction.resize(fraction.find_last_not_of('0') + 1);
  std::string value = fraction.empty() ? *whole : *whole + "." + fraction;
  return Decimal(negative && value != "0" ? "-" + value : value);
}

std::optional<Decimal> number_in_line(std::string_view line) {
  std::u32string text = plain_text(line);
  const std::size_t equals = text.rfind(U'=');
  // The sign of equality stays: a minus after it is a sign.
  if (equals != std::u32string::npos) text.erase(0, equals);
  return LineReader(std::move(text)).only_number();
}

}  // namespace nkat::validation
