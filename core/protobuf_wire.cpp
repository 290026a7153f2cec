#include "core/protobuf_wire.h"

#include <fmt/format.h>

#include "core/files/number_bytes.h"

namespace nkat::protobuf {
namespace {

void append_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}

void append_key(std::string& out, std::uint64_t number, WireType wire) {
  append_varint(out, number << 3 | static_cast<std::uint64_t>(wire));
}

}  // namespace

std::optional<Field> MessageReader::next() {
  if (cursor_.at_end()) return std::nullopt;
  const std::uint64_t key = cursor_.varint("a field's number");
  Field field{.number = key >> 3, .wire = static_cast<WireType>(key & 7)};
  if (field.number == 0) fail("a field of number 0");
  switch (field.wire) {
    case WireType::kVarint: field.value = cursor_.varint("a number"); return field;
    case WireType::kFixed64: field.value = cursor_.number<std::uint64_t>("a number"); return field;
    case WireType::kFixed32: field.value = cursor_.number<std::uint32_t>("a number"); return field;
    case WireType::kBytes: field.bytes = cursor_.part(cursor_.varint("a field's length"), "a field"); return field;
  }
  fail(fmt::format("wire type {}", key & 7));
}

void put_varint(std::string& message, std::uint64_t number, std::uint64_t value) {
  append_key(message, number, WireType::kVarint);
  append_varint(message, value);
}

void put_float(std::string& message, std::uint64_t number, float value) {
  append_key(message, number, WireType::kFixed32);
  append_number(message, value);
}

void put_double(std::string& message, std::uint64_t number, double value) {
  append_key(message, number, WireType::kFixed64);
  append_number(message, value);
}

void put_bytes(std::string& message, std::uint64_t number, std::string_view bytes) {
  append_key(message, number, WireType::kBytes);
  append_varint(message, bytes.size());
  message += bytes;
}

}  // namespace nkat::protobuf
