#include "data/text/words/split_points.h"

#include <gtest/gtest.h>

namespace nkat::data {
namespace {

TEST(SplitPoints, LieBetweenCharactersThatNoPieceJoins) {
  const SplitPoints cuts({{"ab", 0}, {"\u3053\u3093", 0}, {"b\u3053", 0}});
  EXPECT_EQ(cuts.next("abba", 0), 2u);  // b|b
  EXPECT_EQ(cuts.next("abba", 2), 3u);  // b|a
  EXPECT_EQ(cuts.next("abba", 3), 4u);  // the end
  EXPECT_EQ(cuts.next("abba", 9), 4u);
  EXPECT_EQ(cuts.next("", 0), 0u);
  const std::string_view joined = "ab\u3053\u3093";
  EXPECT_EQ(cuts.next(joined, 0), joined.size());
  // From inside a character: the one it belongs to.
  EXPECT_EQ(cuts.next("\u3053\u3093\u3053", 4), 6u);
}

}  // namespace
}  // namespace nkat::data
