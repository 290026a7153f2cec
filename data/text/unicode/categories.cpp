#include "data/text/unicode/categories.h"

#include <algorithm>

#include "core/utf8.h"

namespace nkat::data {
namespace {

CodePointSet word_characters() {
  CodePointSet words;
  for (const char* prefix : {"L", "M", "Nd", "Nl", "Pc"}) words.add(CodePointSet::of_category(prefix));
  words.add({0x200C, 0x200D});    // joiners
  words.add({0x24B6, 0x24E9});    // circled letters are symbols that count as letters
  words.add({0x1F130, 0x1F149});  // squared ones too
  words.add({0x1F150, 0x1F169});
  words.add({0x1F170, 0x1F189});
  return words;
}

}  // namespace

CodePointSet CodePointSet::of_category(std::string_view prefix) {
  CodePointSet set;
  const std::span<const std::uint32_t> runs = packed_category_runs();
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (!kCategoryNames[runs[i] % 32].starts_with(prefix)) continue;
    const char32_t first = runs[i] / 32;
    const char32_t last = i + 1 == runs.size() ? kLastCodePoint : runs[i + 1] / 32 - 1;
    if (!set.ranges_.empty() && set.ranges_.back().second + 1 == first) {
      set.ranges_.back().second = last;
    } else {
      set.ranges_.emplace_back(first, last);
    }
  }
  return set;
}

CodePointSet CodePointSet::white_space() {
  CodePointSet set;
  for (char32_t c = 0; c <= 0x3000; ++c) {
    if (!is_unicode_white_space(c)) continue;
    const char32_t first = c;
    while (is_unicode_white_space(c + 1)) ++c;
    set.ranges_.emplace_back(first, c);
  }
  return set;
}

void CodePointSet::add(const CodePointSet& other) {
  std::vector<Range> all = ranges_;
  all.insert(all.end(), other.ranges_.begin(), other.ranges_.end());
  std::ranges::sort(all);
  ranges_.clear();
  for (const Range& range : all) {
    if (!ranges_.empty() && range.first <= ranges_.back().second + 1) {
      ranges_.back().second = std::max(ranges_.back().second, range.second);
    } else {
      ranges_.push_back(range);
    }
  }
}

CodePointSet CodePointSet::complement() const {
  CodePointSet rest;
  char32_t next = 0;
  for (const auto& [first, last] : ranges_) {
    if (first > next) rest.ranges_.emplace_back(next, first - 1);
    next = last + 1;
  }
  if (next <= kLastCodePoint) rest.ranges_.emplace_back(next, kLastCodePoint);
  return rest;
}

CodePointSet CodePointSet::intersection(const CodePointSet& other) const {
  CodePointSet outside = complement();
  outside.add(other.complement());
  return outside.complement();
}

bool CodePointSet::contains(char32_t code_point) const {
  const auto after = std::ranges::upper_bound(ranges_, code_point, {}, &Range::first);
  return after != ranges_.begin() && code_point <= std::prev(after)->second;
}

bool is_word_character(char32_t code_point) {
  static const CodePointSet kWords = word_characters();
  return kWords.contains(code_point);
}

}  // namespace nkat::data
