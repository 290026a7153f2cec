// What a free-text answer answers: one of the four classes, or a number. Parsed, never matched by keyword: an answer
// that doesn't say it in the agreed form, or says two things, is unparsed, and that counts as wrong.
//
// The final answer follows the last heading "# 最終回答" (at the beginning of the text or after white space, any number
// of #, then white space, a colon or the end). Numbers have a second mark, GSM8K's "####"; the last mark of either kind
// counts. A heading with nothing after it leaves the answer unparsed: what precedes it never counts.
//
//   label    Whole words in capitals: no Latin, Greek or Cyrillic letter, digit or underscore next to them, and no
//            joining hyphen or apostrophe (ALLOWED, DISALLOW and DE-ESCALATION are other words; ALLOWです names a
//            label). Without a heading the whole text is searched. The first line that names a label decides; if it
//            names two different ones, nothing is parsed. A negation ("I would not ALLOW it") is not understood.
//   number   The first non-blank line after the mark, read by number_in_line() (decimal.h).
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "validation/questions/decimal.h"

namespace nkat::validation {

struct NamedLabel {
  std::size_t label = 0;  // in data::kFourClasses
  std::size_t begin = 0;  // bytes of the word in the text
  std::size_t end = 0;
};

// All labels that the text names, in order.
std::vector<NamedLabel> label_words(std::string_view text);
std::optional<NamedLabel> parse_label(std::string_view answer);

std::optional<Decimal> parse_number(std::string_view answer);
// The number of the last line with a digit. It tells a right answer without mark from a wrong one, and never counts as
// right.
std::optional<Decimal> last_number(std::string_view answer);

}  // namespace nkat::validation
