#include "core/files/byte_cursor.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/message.h"

namespace nkat {
namespace {

std::string byte_count(std::uint64_t count, std::string_view prefix = "") {
  return fmt::format("{}{} byte{}", prefix, count, count == 1 ? "" : "s");
}

}  // namespace

std::uint64_t ByteCursor::varint(std::string_view what) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    const auto byte = number<std::uint8_t>(what);
    if (shift == 63 && byte > 1) fail(fmt::format("{}: {}", what, expected("a number of at most 64 bits", "more")));
    value |= std::uint64_t{byte & 0x7Fu} << shift;
    if (byte < 0x80) return value;
  }
  fail(fmt::format("{}: {}", what, expected("a number of at most 10 bytes", "a longer one")));
}

std::string ByteCursor::text(std::uint64_t length, std::uint64_t limit, std::string_view what) {
  if (length > limit)
    fail(fmt::format("{}: {}", what, expected(byte_count(limit, "at most "), fmt::format("{}", length))));
  const auto bytes = take(length, what);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

ByteCursor ByteCursor::part(std::uint64_t length, std::string_view what) {
  const std::uint64_t begin = position();
  return {take(length, what), source_, begin};
}

void ByteCursor::align(std::uint64_t alignment, std::string_view what) {
  NKAT_INVARIANT(alignment > 0);
  const std::uint64_t over = position() % alignment;
  if (over != 0) skip(alignment - over, what);
}

void ByteCursor::fail(std::string_view complaint) const {
  throw FormatError(fmt::format("{}: at byte {}: {}", source_, position(), complaint));
}

void ByteCursor::fail_short(std::uint64_t count, std::string_view what) const {
  fail(fmt::format("{}: {}", what,
                   expected(byte_count(count), fmt::format("{}", remaining()), "the file is cut or damaged")));
}

}  // namespace nkat
