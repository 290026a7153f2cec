#include "core/enum_names.h"

#include <gtest/gtest.h>

namespace nkat {
namespace {

enum class Color { kRed, kBlue, kNameless };
constexpr EnumNames<Color, 2> kColorNames = {{{Color::kRed, "red"}, {Color::kBlue, "blue"}}};

TEST(EnumNames, GoesBothWays) {
  for (const Color color : {Color::kRed, Color::kBlue})
    EXPECT_EQ(value_of(name_of(color, kColorNames), kColorNames), color);
  EXPECT_EQ(name_of(Color::kBlue, kColorNames), "blue");
}

TEST(EnumNames, KnowsNoOtherNames) {
  EXPECT_EQ(value_of("Red", kColorNames), std::nullopt);
  EXPECT_EQ(value_of("", kColorNames), std::nullopt);
  EXPECT_THROW(name_of(Color::kNameless, kColorNames), InternalError);
}

TEST(EnumNames, ListsAllNamesForAMessage) {
  EXPECT_EQ(name_list(kColorNames), (std::vector<std::string>{"red", "blue"}));
  EXPECT_EQ(names_of(kColorNames), "one of red, blue");
}

}  // namespace
}  // namespace nkat
