// Decimal numbers in answers, compared exactly: 12.50 = 12.5 = １２．５, and 0.1 is one tenth.
//
// A number is read from a line of text, and only if the line leaves no doubt:
//   separators   Thousands separators come every three digits (1,234); 12,34 and 1.2.3 are not numbers. Full-width
//                digits and signs count as their ASCII forms, U+2212 as a minus.
//   minus        Directly before the digits, or before their currency sign, it is a sign; after a digit or letter it is
//                a dash; before a space it is a bullet or a dash, unless it follows "=".
//   units        What follows is a unit and ignored: 42 cm, 42個, 50%, $42, 42 cm2, 42 m^2. Digits directly after a
//                Latin letter belong to that word.
//   equations    Only what follows the last "=" counts: "3 + 4 = 7" is 7.
//   in doubt     Two numbers (42 or 43, 1/2, 10-12), and a number that is only part of an expression or in words (√2,
//                5π, 2^10, 1.5e3, 3万, 3 million, ±5), are not read.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace nkat::validation {

class Decimal {
 public:
  // "-1,234.50" and nothing else; ASCII digits.
  static std::optional<Decimal> parse(std::string_view text);

  const std::string& text() const { return text_; }  // "-1234.5"
  friend bool operator==(const Decimal&, const Decimal&) = default;

 private:
  explicit Decimal(std::string text) : text_(std::move(text)) {}
  std::string text_;  // no superfluous zeros, no "-0", so that equal numbers have equal texts
};

// The one number of a line of UTF-8.
std::optional<Decimal> number_in_line(std::string_view line);

}  // namespace nkat::validation
