// Protobuf's wire format (protobuf.dev/programming-guides/encoding): the fields of one message, read and written
// without a schema.
//
//   field   varint key = number << 3 | wire type, then the value
//   value   a varint, 8 or 4 bytes little-endian, or a varint length and as many bytes
//
// Reading throws the FormatError of the ByteCursor for what is cut, for field number 0 and for other wire types.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/files/byte_cursor.h"

namespace nkat::protobuf {

enum class WireType : std::uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

struct Field {
  std::uint64_t number = 0;
  WireType wire = WireType::kVarint;
  std::uint64_t value = 0;                         // of a varint or fixed width
  std::optional<ByteCursor> bytes = std::nullopt;  // of kBytes
};

class MessageReader {
 public:
  explicit MessageReader(ByteCursor message) : cursor_(message) {}
  std::optional<Field> next();  // nothing: the end of the message
  [[noreturn]] void fail(const std::string& error) const { cursor_.fail(error); }

 private:
  ByteCursor cursor_;
};

// Each appends one field to a message.
void put_varint(std::string& message, std::uint64_t number, std::uint64_t value);
void put_float(std::string& message, std::uint64_t number, float value);
void put_double(std::string& message, std::uint64_t number, double value);
void put_bytes(std::string& message, std::uint64_t number, std::string_view bytes);

}  // namespace nkat::protobuf
