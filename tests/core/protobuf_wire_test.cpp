#include "core/protobuf_wire.h"

#include <bit>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/mutations.h"

namespace nkat::protobuf {
namespace {

using ::testing::HasSubstr;

std::vector<Field> fields_of(std::string_view message) {
  MessageReader reader(ByteCursor(message, "test"));
  std::vector<Field> fields;
  while (std::optional<Field> field = reader.next()) fields.push_back(std::move(*field));
  return fields;
}

std::string error_of(const std::string& message) {
  return testing::complaint_about([](const std::string& bytes) { fields_of(bytes); }, message);
}

TEST(ProtobufWire, WritesTheBytesOfTheSpecification) {
  std::string message;
  put_varint(message, 1, 150);  // the documentation's own two examples
  EXPECT_EQ(message, "\x08\x96\x01");
  message.clear();
  put_bytes(message, 2, "testing");
  EXPECT_EQ(message, "\x12\x07testing");
  message.clear();
  put_float(message, 2, 1.0F);
  EXPECT_EQ(message, std::string("\x15\x00\x00\x80\x3F", 5));
  message.clear();
  put_double(message, 1, 1.0);
  EXPECT_EQ(message, std::string("\x09\x00\x00\x00\x00\x00\x00\xF0\x3F", 9));
}

TEST(ProtobufWire, ReadsBackWhatItWrote) {
  constexpr std::uint64_t kLargest = ~std::uint64_t{0};
  std::string message;
  put_varint(message, 1, kLargest);
  put_varint(message, 35, 0);
  put_float(message, 2, -0.5F);
  put_bytes(message, 3, "");
  put_bytes(message, 500, "abc");
  std::vector<Field> fields = fields_of(message);
  ASSERT_EQ(fields.size(), 5u);
  EXPECT_EQ(fields[0].value, kLargest);
  EXPECT_EQ(fields[1].number, 35u);
  EXPECT_EQ(std::bit_cast<float>(static_cast<std::uint32_t>(fields[2].value)), -0.5F);
  EXPECT_TRUE(fields[3].bytes->at_end());
  EXPECT_EQ(fields[4].number, 500u);
  EXPECT_EQ(fields[4].bytes->text(3, 3, "text"), "abc");
}

TEST(ProtobufWire, ReadsEightByteNumbers) {
  EXPECT_EQ(fields_of(std::string("\x09\x01\0\0\0\0\0\0\x80", 9)).at(0).value, 0x8000000000000001u);
}

TEST(ProtobufWire, RefusesWhatIsNoMessage) {
  EXPECT_THAT(error_of(std::string("\0\x01", 2)), HasSubstr("a field of number 0"));
  EXPECT_THAT(error_of("\x0B"), HasSubstr("wire type 3"));
  EXPECT_THAT(error_of("\x0F"), HasSubstr("wire type 7"));
  EXPECT_THAT(error_of("\x0A\x05xx"), HasSubstr("a field: expected 5 bytes"));
  EXPECT_THAT(error_of("\x08"), HasSubstr("a number"));
}

}  // namespace
}  // namespace nkat::protobuf
