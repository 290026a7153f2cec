// Reads a file's bytes from front to back, and never past their end: under GGUF, safetensors and tokenizer.model.
//
//   ByteCursor cursor(file.bytes(), "model.gguf");
//   const auto version = cursor.number<std::uint32_t>("the version");
//   const std::string key = cursor.text(cursor.number<std::uint64_t>("a key's length"), 65'535, "a key");
//
// Numbers are little-endian, at any alignment. A length is compared with the remaining bytes before anything is
// allocated, and without a sum that could overflow. Missing bytes are a FormatError "<source>: at byte N: ...", where N
// counts from the start of the outermost bytes. Bytes of a map may change while they are read: take each of them once.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

namespace nkat {

static_assert(std::endian::native == std::endian::little, "files are read without swapping bytes");

class ByteCursor {
 public:
  // bytes and source must outlive the cursor and those made from it.
  ByteCursor(std::span<const std::byte> bytes, std::string_view source) : ByteCursor(bytes, source, 0) {}
  ByteCursor(std::string_view bytes, std::string_view source)
      : ByteCursor(std::as_bytes(std::span(bytes.data(), bytes.size())), source) {}

  std::uint64_t position() const { return origin_ + position_; }
  std::uint64_t remaining() const { return bytes_.size() - position_; }
  bool at_end() const { return remaining() == 0; }

  // `what` names the thing in messages: "the version".
  template <class Number>
  requires std::integral<Number> || std::floating_point<Number> Number number(std::string_view what) {
    static_assert(!std::same_as<Number, bool>, "read a byte and check that it is 0 or 1");
    Number value;
    std::memcpy(&value, take(sizeof value, what).data(), sizeof value);
    return value;
  }
  // Protobuf's variable-length integer: seven bits per byte, the lowest first, at most 10 bytes.
  std::uint64_t varint(std::string_view what);

  std::span<const std::byte> take(std::uint64_t count, std::string_view what) {
    if (count > remaining()) fail_short(count, what);
    const auto taken = bytes_.subspan(position_, count);
    position_ += count;
    return taken;
  }
  // A copy of the next `length` bytes; refused above `limit`.
  std::string text(std::uint64_t length, std::uint64_t limit, std::string_view what);
  // A cursor over the next `length` bytes, which this one skips.
  ByteCursor part(std::uint64_t length, std::string_view what);
  void skip(std::uint64_t count, std::string_view what) { take(count, what); }
  // Skips to the next multiple of `alignment`.
  void align(std::uint64_t alignment, std::string_view what);

  [[noreturn]] void fail(std::string_view complaint) const;

 private:
  ByteCursor(std::span<const std::byte> bytes, std::string_view source, std::uint64_t origin)
      : bytes_(bytes), source_(source), origin_(origin) {}
  [[noreturn]] void fail_short(std::uint64_t count, std::string_view what) const;

  std::span<const std::byte> bytes_;
  std::string_view source_;
  std::uint64_t origin_;  // where bytes_ begin in the outermost bytes
  std::size_t position_ = 0;
};

}  // namespace nkat
