#include "data/formats/gguf_metadata.h"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/message_of.h"
#include "tests/support/raw_gguf.h"

namespace nkat::gguf {
namespace {

using nkat::testing::message_of;
using nkat::testing::raw;
using nkat::testing::raw_array;
using nkat::testing::raw_text;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

GgufValue texts(const std::vector<std::string>& all) { return GgufValue::strings(all); }

std::string file_bytes(const GgufValue& value) {
  std::string bytes = "before";
  value.append_to(bytes);
  return bytes;
}

TEST(GgufValue, ANumberNamesItsTypeAndShowsItsValue) {
  struct Row {
    GgufValue value;
    const char *type, *text;
  };
  const std::vector<Row> rows = {
      {GgufValue::number<std::uint8_t>(200), "u8", "200"},
      {GgufValue::number<std::int8_t>(-3), "i8", "-3"},
      {GgufValue::number<std::int32_t>(-70'000), "i32", "-70000"},
      {GgufValue::number<std::uint64_t>(UINT64_MAX), "u64", "18446744073709551615"},
      {GgufValue::number<std::int64_t>(INT64_MIN), "i64", "-9223372036854775808"},
      {GgufValue::number(0.5F), "f32", "0.5"},
      {GgufValue::number(-0.25), "f64", "-0.25"},
      {GgufValue::number(true), "bool", "true"},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(row.value.type_name(), row.type);
    EXPECT_EQ(row.value.preview(100), row.text) << row.type;
  }
}

TEST(GgufValue, AnArrayNamesItsCountAndShowsItsElements) {
  const std::array flags = {true, false};
  EXPECT_EQ(GgufValue::numbers<bool>(flags).type_name(), "array of 2 bool");
  EXPECT_EQ(GgufValue::numbers<bool>(flags).preview(100), "[true, false]");
  EXPECT_EQ(texts({"a", "", "bc"}).type_name(), "array of 3 string");
  EXPECT_EQ(texts({"a", "", "bc"}).preview(100), "[a, , bc]");
  EXPECT_EQ(texts({}).preview(100), "[]");
}

TEST(GgufValue, APreviewSaysThatItIsCut) {
  EXPECT_EQ(texts({"ab", "cd"}).preview(6), "[ab, cd]");
  EXPECT_EQ(texts({"ab", "cd", "ef"}).preview(6), "[ab, cd ...]");
  EXPECT_EQ(GgufValue::string("abc").preview(3), "abc");
  EXPECT_EQ(GgufValue::string("ab\u3053").preview(4), "ab ...");  // never inside a character
}

TEST(GgufValue, ItsBytesAreTheFiles) {
  EXPECT_EQ(file_bytes(GgufValue::number<std::uint16_t>(258)), "before" + raw(std::uint32_t{2}) + "\x02\x01");
  EXPECT_EQ(file_bytes(GgufValue::number(true)), "before" + raw(std::uint32_t{7}) + "\x01");
  EXPECT_EQ(file_bytes(GgufValue::string("abc")), "before" + raw(std::uint32_t{8}) + raw_text("abc"));
  EXPECT_EQ(file_bytes(GgufValue::numbers<float>(std::vector{1.5F, -2.0F})),
            "before" + raw(std::uint32_t{9}) + raw_array(6, 2, raw(1.5F) + raw(-2.0F)));
  EXPECT_EQ(file_bytes(texts({"", "bc"})),
            "before" + raw(std::uint32_t{9}) + raw_array(8, 2, raw_text("") + raw_text("bc")));
  EXPECT_EQ(GgufValue::of_file(ValueType::kArray, ValueType::kString, 1, raw_text("a")), texts({"a"}));
}

TEST(GgufMetadata, KeepsTheOrderInWhichPairsCame) {
  GgufMetadata metadata("test");
  for (const char* key : {"c", "a", "b"}) metadata.add(key, GgufValue::string(key));
  std::string order;
  for (const auto& [key, value] : metadata.pairs()) order += key;
  EXPECT_EQ(order, "cab");
  EXPECT_EQ(metadata.string("a"), "a");
  EXPECT_EQ(message_of<FormatError>([&] { metadata.string("d"); }), "test: the metadata key 'd' is missing");
}

TEST(GgufMetadata, RefusesAKeyThatIsThereOrCannotBe) {
  GgufMetadata metadata("test");
  const auto error_of = [&](const std::string& key) {
    return message_of<FormatError>([&] { metadata.add(key, GgufValue::number(2.0F)); });
  };
  EXPECT_EQ(error_of(""), "test: a metadata key: expected 1 to 65535 bytes, found 0");
  EXPECT_EQ(error_of(std::string(65'536, 'k')), "test: a metadata key: expected 1 to 65535 bytes, found 65536");
  for (const std::string& key : {std::string("a\nb"), std::string("a\0b", 3), std::string("a\x7F")})
    EXPECT_THAT(error_of(key), HasSubstr("control character"));
  EXPECT_THAT(error_of("a\xFF"), HasSubstr("not UTF-8"));
  EXPECT_TRUE(metadata.pairs().empty());
  EXPECT_EQ(error_of(std::string(65'535, 'k')), "");
  metadata.add("a", GgufValue::number(1.0F));
  EXPECT_EQ(error_of("a"), "test: duplicate metadata key 'a'");
  EXPECT_EQ(metadata.number<float>("a"), 1.0F);
  EXPECT_EQ(metadata.pairs().size(), 2U);
}

TEST(GgufMetadata, StringsMayReachBothLimitsButNotPassTheBytes) {
  GgufMetadata metadata("test");
  metadata.add("good", texts({"a", "bc"}));
  EXPECT_THAT(metadata.strings("good", 2, 2), ElementsAre("a", "bc"));
  metadata.add("short", GgufValue::of_file(ValueType::kArray, ValueType::kString, 2,
                                           raw_text("a") + raw(std::uint64_t{5}) + "bc"));
  EXPECT_THAT(message_of<FormatError>([&] { metadata.strings("short", 2); }),
              HasSubstr("test: metadata key 'short': at byte 17: an element: expected 5 bytes, found 2"));
  metadata.add("cut", GgufValue::of_file(ValueType::kArray, ValueType::kString, 2, raw_text("a") + "xyz"));
  EXPECT_THAT(message_of<FormatError>([&] { metadata.strings("cut", 2); }),
              HasSubstr("test: metadata key 'cut': at byte 9: a length: expected 8 bytes, found 3"));
}

TEST(GgufNames, AreUtf8OfALimitedLength) {
  EXPECT_EQ(name_error("blk.0.\u3053 x", 63), "");
  EXPECT_EQ(name_error(std::string(63, 'n'), 63), "");
  EXPECT_EQ(name_error(std::string(64, 'n'), 63), "expected 1 to 63 bytes, found 64");
  EXPECT_THAT(name_error("\xE3\x81", 63), HasSubstr("not UTF-8"));
}

}  // namespace
}  // namespace nkat::gguf
