#include "data/text/unicode/nfc.h"

#include <gtest/gtest.h>

#include "data/text/unicode/canonical.h"

namespace nkat::data {
namespace {

std::string nfc(std::string_view text) {
  const auto normalized = to_nfc(text);
  return normalized ? normalized->text : std::string(text);
}

TEST(Nfc, ComposesAndOrdersMarks) {
  EXPECT_EQ(nfc("e\u0301"), "\u00e9");
  EXPECT_EQ(nfc("\u212b"), "\u00c5");                // a singleton
  EXPECT_EQ(nfc("q\u0307\u0323"), "q\u0323\u0307");  // ordered, not composed
  EXPECT_EQ(nfc("d\u0307\u0323"), "\u1e0d\u0307");   // composed across
  EXPECT_EQ(nfc("\u0958"), "\u0915\u093c");          // excluded from composition
  EXPECT_EQ(nfc("\u1112\u1161\u11ab"), "\ud55c");    // Hangul
  EXPECT_EQ(nfc("\uac00\u11a8"), "\uac01");
  EXPECT_EQ(nfc("\u0301e"), "\u0301e");
  EXPECT_EQ(nfc("a\u0315\u0300\u05ae\u0300b"), "\u00e0\u05ae\u0300\u0315b");  // of UAX 15's test file
}

TEST(Nfc, LeavesNormalTextAlone) {
  for (const char* text :
       {"", "abc", "caf\u00e9", "\u3053\u3093\u306b\u3061\u306f", "\ud55c\uae00", "q\u0323", "\u0301"})
    EXPECT_FALSE(to_nfc(text)) << text;
}

TEST(Nfc, SaysWhereEachByteComesFrom) {
  const auto normalized = to_nfc("ae\u0301z\u212b");
  ASSERT_TRUE(normalized);
  EXPECT_EQ(normalized->text, "a\u00e9z\u00c5");
  ASSERT_EQ(normalized->origins.size(), normalized->text.size());
  const std::pair<std::size_t, std::size_t> wanted[] = {{0, 1}, {1, 4}, {1, 4}, {4, 5}, {5, 8}, {5, 8}};
  for (std::size_t i = 0; i < std::size(wanted); ++i) {
    EXPECT_EQ(normalized->origins[i].begin, wanted[i].first) << i;
    EXPECT_EQ(normalized->origins[i].end, wanted[i].second) << i;
  }
}

TEST(Nfc, IsStableForEveryPairOfTheTables) {
  EXPECT_GT(composing_pairs().size(), 900u);
  EXPECT_GT(canonical_singletons().size(), 1000u);
  EXPECT_GT(combining_class_runs().size(), 200u);
  for (const CanonicalPair& pair : composing_pairs()) {
    for (const char32_t c : {pair.composed, pair.first}) EXPECT_NE(c, 0u);
    EXPECT_NE(pair.second, 0u);
  }
  for (const CanonicalPair& pair : excluded_pairs()) EXPECT_NE(pair.second, 0u);
}

TEST(Nfc, TakesTimeInProportionToManyMarks) {
  std::string marks = "a";
  for (int i = 0; i < 200'000; ++i) marks += i % 2 == 0 ? "\u0323" : "\u0307";
  EXPECT_EQ(nfc(marks).size(), marks.size());
}

}  // namespace
}  // namespace nkat::data
