#include "data/formats/gguf_metadata.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.h"
#include "core/files/byte_cursor.h"
#include "core/files/number_bytes.h"
#include "core/message.h"
#include "core/utf8.h"

namespace nkat::gguf {
namespace {

// Element i of an array of numbers, or the number itself, as text.
std::string number_text(const GgufValue& value, ValueType type, std::size_t i) {
  switch (type) {
    case ValueType::kU8: return fmt::format("{}", value.element<std::uint8_t>(i));
    case ValueType::kI8: return fmt::format("{}", value.element<std::int8_t>(i));
    case ValueType::kU16: return fmt::format("{}", value.element<std::uint16_t>(i));
    case ValueType::kI16: return fmt::format("{}", value.element<std::int16_t>(i));
    case ValueType::kU32: return fmt::format("{}", value.element<std::uint32_t>(i));
    case ValueType::kI32: return fmt::format("{}", value.element<std::int32_t>(i));
    case ValueType::kF32: return fmt::format("{}", value.element<float>(i));
    case ValueType::kBool: return value.element<std::uint8_t>(i) != 0 ? "true" : "false";
    case ValueType::kU64: return fmt::format("{}", value.element<std::uint64_t>(i));
    case ValueType::kI64: return fmt::format("{}", value.element<std::int64_t>(i));
    case ValueType::kF64: return fmt::format("{}", value.element<double>(i));
    case ValueType::kString:
    case ValueType::kArray: break;
  }
  return "";
}

}  // namespace

GgufValue GgufValue::string(std::string value) { return {ValueType::kString, ValueType::kU8, 1, std::move(value)}; }

GgufValue GgufValue::strings(std::span<const std::string> values) {
  std::string bytes;
  for (const std::string& one : values) {
    append_number(bytes, std::uint64_t{one.size()});
    bytes += one;
  }
  return {ValueType::kArray, ValueType::kString, values.size(), std::move(bytes)};
}

std::string GgufValue::type_name() const {
  if (type_ != ValueType::kArray) return value_type_name(type_);
  return fmt::format("array of {} {}", count_, value_type_name(element_type_));
}

std::string GgufValue::preview(std::size_t longest) const {
  if (type_ == ValueType::kString) return ellipsize(bytes_, longest);
  if (type_ != ValueType::kArray) return number_text(*this, type_, 0);
  std::string text;
  ByteCursor cursor(bytes_, "preview");
  for (std::size_t i = 0; i < count_ && text.size() <= longest; ++i) {
    const std::string one = element_type_ == ValueType::kString
                                ? cursor.text(cursor.number<std::uint64_t>("length"), kLongestString, "element")
                                : number_text(*this, element_type_, i);
    text += fmt::format("{}{}", i == 0 ? "" : ", ", one);
  }
  return fmt::format("[{}]", ellipsize(text, longest));
}

void GgufValue::append_to(std::string& file) const {
  append_number(file, static_cast<std::uint32_t>(type_));
  if (type_ == ValueType::kArray) {
    append_number(file, static_cast<std::uint32_t>(element_type_));
    append_number(file, count_);
  }
  if (type_ == ValueType::kString) append_number(file, std::uint64_t{bytes_.size()});
  file += bytes_;
}

void GgufMetadata::add(const std::string& key, GgufValue value) {
  if (const std::string error = name_error(key, kLongestKey); !error.empty())
    throw FormatError(fmt::format("{}: a metadata key: {}", source_, error));
  if (!index_.emplace(key, pairs_.size()).second)
    throw FormatError(fmt::format("{}: duplicate metadata key '{}'", source_, ellipsize(key)));
  pairs_.emplace_back(key, std::move(value));
}

const GgufValue* GgufMetadata::find(std::string_view key) const {
  const auto found = index_.find(std::string(key));
  return found == index_.end() ? nullptr : &pairs_[found->second].second;
}

std::string GgufMetadata::string(std::string_view key) const {
  const GgufValue& value = required(key);
  if (value.type() != ValueType::kString) refuse(key, "string", value);
  return value.bytes();
}

std::vector<std::string> GgufMetadata::strings(std::string_view key, std::uint64_t most, std::uint64_t longest) const {
  const GgufValue& value = required(key);
  if (!value.is_array_of_strings()) refuse(key, "array of string", value);
  if (value.count() > most) refuse(key, fmt::format("array of at most {} string", most), value);
  const std::string where = fmt::format("{}: metadata key '{}'", source_, key);
  ByteCursor cursor(value.bytes(), where);
  std::vector<std::string> all(value.count());
  for (std::string& one : all) one = cursor.text(cursor.number<std::uint64_t>("a length"), longest, "an element");
  return all;
}

const GgufValue& GgufMetadata::required(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) throw FormatError(fmt::format("{}: the metadata key '{}' is missing", source_, key));
  return *value;
}

void GgufMetadata::refuse(std::string_view key, const std::string& wanted, const GgufValue& found) const {
  throw FormatError(fmt::format("{}: metadata key '{}': {}", source_, key, expected(wanted, found.type_name())));
}

std::string name_error(std::string_view name, std::uint64_t longest) {
  if (name.empty() || name.size() > longest)
    return expected(fmt::format("1 to {} bytes", longest), std::to_string(name.size()));
  if (std::ranges::any_of(name, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }))
    return "it holds a NUL or another control character";
  if (find_invalid_utf8(name) != std::string_view::npos) return "it is not UTF-8";
  return "";
}

}  // namespace nkat::gguf
