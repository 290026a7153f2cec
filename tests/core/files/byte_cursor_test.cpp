#include "core/files/byte_cursor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/message_of.h"

namespace nkat {
namespace {

using namespace std::string_view_literals;

// What a step of reading says about these bytes, or "" if they satisfy it.
template <class Step>
std::string complaint(std::string_view bytes, Step step) {
  ByteCursor cursor(bytes, "x.bin");
  return nkat::testing::message_of<FormatError>([&] { step(cursor); });
}

TEST(ByteCursor, ReadsLittleEndianNumbersAtAnyAddress) {
  ByteCursor cursor("\x01\x02\x03\x04\x05\xFE\xFF\x00\x00\xC0\x3F\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F"sv, "x");
  EXPECT_EQ(cursor.number<std::uint8_t>("a"), 1);
  EXPECT_EQ(cursor.number<std::uint32_t>("b"), 0x05040302U);
  EXPECT_EQ(cursor.number<std::int16_t>("c"), -2);
  EXPECT_EQ(cursor.number<float>("d"), 1.5F);
  EXPECT_EQ(cursor.position(), 11U);
  EXPECT_EQ(cursor.number<std::int64_t>("e"), INT64_MAX);
  EXPECT_TRUE(cursor.at_end());
}

TEST(ByteCursor, ReadsVarintsUpToSixtyFourBits) {
  ByteCursor cursor("\x05\xAC\x02\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"sv, "x");
  EXPECT_EQ(cursor.varint("a"), 5U);
  EXPECT_EQ(cursor.varint("b"), 300U);
  EXPECT_EQ(cursor.varint("c"), UINT64_MAX);
}

TEST(ByteCursor, CountsAPartFromTheStartOfTheFile) {
  ByteCursor cursor("..abcdef"sv, "x.bin");
  cursor.skip(2, "a");
  ByteCursor part = cursor.part(3, "b");
  EXPECT_EQ(cursor.position(), 5U);
  EXPECT_EQ(part.text(2, 9, "c"), "ab");
  EXPECT_EQ(part.position(), 4U);
  EXPECT_EQ(part.remaining(), 1U);
  part.align(5, "padding");
  EXPECT_EQ(part.position(), 5U);
  part.align(5, "padding");
  EXPECT_TRUE(part.at_end());
}

TEST(ByteCursor, SaysWhereWhatWasRequiredAndWhatWasFound) {
  EXPECT_EQ(
      complaint("123456", [](ByteCursor& cursor) { cursor.skip(2, "a"), cursor.number<std::uint64_t>("a count"); }),
      "x.bin: at byte 2: a count: expected 8 bytes, found 4; the file is cut or damaged");
  EXPECT_EQ(complaint("123456", [](ByteCursor& cursor) { cursor.text(6, 5, "a name"); }),
            "x.bin: at byte 0: a name: expected at most 5 bytes, found 6");
  EXPECT_EQ(complaint("123456", [](ByteCursor& cursor) { cursor.skip(1, "a"), cursor.align(8, "padding"); }),
            "x.bin: at byte 1: padding: expected 7 bytes, found 5; the file is cut or damaged");
  EXPECT_EQ(complaint("", [](ByteCursor& cursor) { cursor.number<std::uint8_t>("a flag"); }),
            "x.bin: at byte 0: a flag: expected 1 byte, found 0; the file is cut or damaged");
}

TEST(ByteCursor, RefusesVarintsAboveSixtyFourBits) {
  const auto read = [](ByteCursor& cursor) { cursor.varint("a length"); };
  EXPECT_THAT(complaint("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x02", read), ::testing::HasSubstr("at most 64 bits"));
  EXPECT_THAT(complaint("\xFF\xFF", read), ::testing::HasSubstr("at byte 2: a length: expected 1 byte"));
}

// A sum of position and need would pass every one of these.
TEST(ByteCursor, ComparesNeedsThatWouldOverflowASum) {
  for (const std::uint64_t count : {UINT64_MAX, UINT64_MAX - 1, std::uint64_t{1} << 63, std::uint64_t{5}}) {
    const auto refused = [&](auto step) { return complaint("123456", step) != ""; };
    EXPECT_TRUE(refused([&](ByteCursor& cursor) { cursor.skip(2, "a"), cursor.skip(count, "b"); })) << count;
    EXPECT_TRUE(refused([&](ByteCursor& cursor) { cursor.skip(2, "a"), cursor.part(count, "b"); })) << count;
    EXPECT_TRUE(refused([&](ByteCursor& cursor) { cursor.skip(2, "a"), cursor.text(count, UINT64_MAX, "b"); }))
        << count;
    EXPECT_TRUE(
        refused([&](ByteCursor& cursor) { cursor.skip(2, "a"), cursor.align(count + (count == 5 ? 10 : 0), "b"); }));
  }
}

}  // namespace
}  // namespace nkat
