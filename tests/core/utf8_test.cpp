#include "core/utf8.h"

#include <gtest/gtest.h>

#include "core/random.h"

namespace nkat {
namespace {

TEST(Utf8, AcceptsEveryLength) {
  EXPECT_EQ(find_invalid_utf8("a\u00e9\u3053\U0001F999\U0010FFFF"), std::string::npos);
  EXPECT_EQ(decode_code_point("\U0001F999", 0).value, U'\U0001F999');
  EXPECT_EQ(decode_code_point("\U0001F999", 0).length, 4u);
  EXPECT_EQ(find_invalid_utf8(std::string_view("\0", 1)), std::string::npos);
}

TEST(Utf8, RefusesWhatRfc3629Forbids) {
  for (const char* bad :
       {"\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xC3", "\xC3(", "\xE0\x9F\xBF", "\xE3\x81", "\xED\xA0\x80",
        "\xED\xBF\xBF", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFE", "\xFF", "\xF0\x9F\xA6"}) {
    EXPECT_EQ(find_invalid_utf8("ok" + std::string(bad)), 2u);
  }
}

TEST(Utf8, CutsAtWholeCharacters) {
  const std::string text = "a\u3053\U0001F999";  // 1 + 3 + 4 bytes
  const std::size_t expected[] = {0, 1, 1, 1, 4, 4, 4, 4, 8};
  for (std::size_t length = 0; length <= text.size(); ++length) {
    EXPECT_EQ(complete_utf8_prefix(std::string_view(text).substr(0, length)), expected[length]) << length;
  }
}

TEST(Utf8, NeverReadsBeyondRandomBytes) {
  RandomStream random(1, "utf8");
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes;
    for (std::uint64_t i = random.below(6); i > 0; --i) bytes.push_back(static_cast<char>(random.below(256)));
    const std::string copy(bytes.begin(), bytes.end());
    find_invalid_utf8(copy);
    EXPECT_LE(complete_utf8_prefix(copy), copy.size());
  }
}

TEST(Utf8, KnowsTheWhiteSpaceOfUnicode) {
  int count = 0;
  for (char32_t c = 0; c <= 0x10FFFF; ++c) count += is_unicode_white_space(c) ? 1 : 0;
  EXPECT_EQ(count, 25);  // PropList.txt
  EXPECT_TRUE(is_unicode_white_space(0x3000));
  EXPECT_FALSE(is_unicode_white_space(0x200B));
}

}  // namespace
}  // namespace nkat
