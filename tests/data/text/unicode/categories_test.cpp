#include "data/text/unicode/categories.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nkat::data {
namespace {

using ::testing::ElementsAre;
using Range = CodePointSet::Range;

CodePointSet set_of(const std::vector<Range>& ranges) {
  CodePointSet set;
  for (const auto& [first, last] : ranges) set.add({first, last});
  return set;
}

TEST(Categories, GiveEveryCodePointOneCategory) {
  std::size_t count = 0;
  CodePointSet all;
  for (const std::string_view name : kCategoryNames) {
    const CodePointSet set = CodePointSet::of_category(name);
    EXPECT_FALSE(set.empty()) << name;
    for (const auto& [first, last] : set.ranges()) count += last - first + 1;
    all.add(set);
  }
  EXPECT_EQ(count, kLastCodePoint + 1);
  EXPECT_THAT(all.ranges(), ElementsAre(Range(0, kLastCodePoint)));
}

TEST(Categories, AreThoseOfANewUnicode) {
  EXPECT_TRUE(CodePointSet::of_category("Lu").contains(U'A'));
  EXPECT_TRUE(CodePointSet::of_category("L").contains(U'漢'));
  EXPECT_TRUE(CodePointSet::of_category("Lu").contains(0x1C89));  // Unicode 16
  EXPECT_FALSE(CodePointSet::of_category("N").contains(U'x'));
  EXPECT_FALSE(CodePointSet::white_space().contains(0x180E));
  EXPECT_TRUE(CodePointSet::white_space().contains(0x3000));
  EXPECT_TRUE(CodePointSet::of_category("Xx").empty());
}

TEST(CodePointSet, UnitesIntersectsAndTurnsOver) {
  const CodePointSet set = set_of({{5, 9}, {1, 2}, {3, 3}, {20, 30}});
  EXPECT_THAT(set.ranges(), ElementsAre(Range(1, 3), Range(5, 9), Range(20, 30)));
  EXPECT_THAT(set.complement().ranges(),
              ElementsAre(Range(0, 0), Range(4, 4), Range(10, 19), Range(31, kLastCodePoint)));
  EXPECT_THAT(set.intersection(set_of({{2, 6}, {25, 40}})).ranges(),
              ElementsAre(Range(2, 3), Range(5, 6), Range(25, 30)));
  EXPECT_THAT(CodePointSet().complement().complement().ranges(), ElementsAre());
}

TEST(IsWordCharacter, TakesLettersMarksDigitsConnectorsAndJoiners) {
  for (const char32_t c : {U'a', U'9', U'_', U'é', U'漢', char32_t{0x301}, char32_t{0x200D}, char32_t{0x24B6}, U'Ⅷ'})
    EXPECT_TRUE(is_word_character(c)) << static_cast<std::uint32_t>(c);
  for (const char32_t c : {U' ', U'-', U'²', U'。', char32_t{0x1F999}})
    EXPECT_FALSE(is_word_character(c)) << static_cast<std::uint32_t>(c);
}

}  // namespace
}  // namespace nkat::data
