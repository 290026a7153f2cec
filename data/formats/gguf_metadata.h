// The metadata of a GGUF file: values of a declared type under unique keys, in the file's order.
//
//   GgufMetadata metadata("merged");
//   metadata.add("phi3.block_count", GgufValue::number<std::uint32_t>(32));
//   metadata.add("tokenizer.ggml.tokens", GgufValue::strings(tokens));
//   metadata.number<std::uint32_t>("phi3.block_count")  // 32; as another type: FormatError
//
// A value is kept as the bytes that the file has for it, so that copies are exact and memory stays below the file's
// size. Getters never convert: llama.cpp refuses a u64 where it wants a u32, and so do they. What is missing or of
// another type is a FormatError with source, key, expected and found.
#pragma once

#include <concepts>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "data/formats/gguf_format.h"

namespace nkat::gguf {

template <class T>
concept GgufNumber = std::integral<T> || std::floating_point<T>;

// The value type that holds a C++ number; bool is kBool.
template <GgufNumber T>
constexpr ValueType value_type_for() {
  if constexpr (std::same_as<T, bool>) return ValueType::kBool;
  if constexpr (std::same_as<T, float>) return ValueType::kF32;
  if constexpr (std::same_as<T, double>) return ValueType::kF64;
  if constexpr (sizeof(T) == 1) return std::is_signed_v<T> ? ValueType::kI8 : ValueType::kU8;
  if constexpr (sizeof(T) == 2) return std::is_signed_v<T> ? ValueType::kI16 : ValueType::kU16;
  if constexpr (sizeof(T) == 4) return std::is_signed_v<T> ? ValueType::kI32 : ValueType::kU32;
  return std::is_signed_v<T> ? ValueType::kI64 : ValueType::kU64;
}

class GgufValue {
 public:
  template <GgufNumber T>
  static GgufValue number(T value) {
    return {value_type_for<T>(), ValueType::kU8, 1, bytes_of(std::span<const T>(&value, 1))};
  }
  template <GgufNumber T>
  static GgufValue numbers(std::span<const T> values) {
    return {ValueType::kArray, value_type_for<T>(), values.size(), bytes_of(values)};
  }
  static GgufValue string(std::string value);
  static GgufValue strings(std::span<const std::string> values);
  // From a file: `bytes` as they stand there, without an array's element type and count and a string's length. The
  // reader has checked them.
  static GgufValue of_file(ValueType type, ValueType element, std::uint64_t count, std::string bytes) {
    return {type, element, count, std::move(bytes)};
  }

  ValueType type() const { return type_; }
  ValueType element_type() const { return element_type_; }  // of an array
  std::uint64_t count() const { return count_; }            // elements; 1 if not an array
  const std::string& bytes() const { return bytes_; }
  std::string type_name() const;                   // "u32", "array of string"
  std::string preview(std::size_t longest) const;  // as text, cut where it gets longer
  void append_to(std::string& file) const;         // value type and value, as the file has them
  bool operator==(const GgufValue&) const = default;

  template <GgufNumber T>
  bool is_number() const {
    return type_ == value_type_for<T>();
  }
  template <GgufNumber T>
  bool is_array_of() const {
    return type_ == ValueType::kArray && element_type_ == value_type_for<T>();
  }
  bool is_array_of_strings() const { return type_ == ValueType::kArray && element_type_ == ValueType::kString; }
  // Element i of an array of numbers, or the number itself; the caller has checked the type.
  template <GgufNumber T>
  T element(std::size_t i = 0) const {
    T value{};
    std::memcpy(&value, bytes_.data() + i * sizeof(T), sizeof value);
    return value;
  }

 private:
  GgufValue(ValueType type, ValueType element, std::uint64_t count, std::string bytes)
      : type_(type), element_type_(element), count_(count), bytes_(std::move(bytes)) {}
  template <GgufNumber T>
  static std::string bytes_of(std::span<const T> values) {
    return {reinterpret_cast<const char*>(values.data()), values.size_bytes()};
  }

  ValueType type_;
  ValueType element_type_;
  std::uint64_t count_;
  std::string bytes_;
};

class GgufMetadata {
 public:
  using Pair = std::pair<std::string, GgufValue>;
  explicit GgufMetadata(std::string source) : source_(std::move(source)) {}

  // FormatError for a key that is there, empty, too long, not UTF-8, or holds control characters.
  void add(const std::string& key, GgufValue value);
  const std::vector<Pair>& pairs() const { return pairs_; }
  const GgufValue* find(std::string_view key) const;  // nullptr if there is none

  template <GgufNumber T>
  T number(std::string_view key) const {
    const GgufValue& value = required(key);
    if (!value.is_number<T>()) refuse(key, value_type_name(value_type_for<T>()), value);
    return value.element<T>();
  }
  // `otherwise` where the key is missing; another type is refused all the same.
  template <GgufNumber T>
  T number_or(std::string_view key, T otherwise) const {
    return find(key) == nullptr ? otherwise : number<T>(key);
  }
  template <GgufNumber T>
  std::vector<T> numbers(std::string_view key) const {
    const GgufValue& value = required(key);
    if (!value.is_array_of<T>()) refuse(key, std::string("array of ") + value_type_name(value_type_for<T>()), value);
    std::vector<T> all(value.count());
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = value.element<T>(i);
    return all;
  }
  std::string string(std::string_view key) const;
  // Refuses more than `most` elements and elements of more than `longest` bytes.
  std::vector<std::string> strings(std::string_view key, std::uint64_t most,
                                   std::uint64_t longest = kLongestTokenText) const;

 private:
  const GgufValue& required(std::string_view key) const;
  [[noreturn]] void refuse(std::string_view key, const std::string& wanted, const GgufValue& found) const;

  std::string source_;
  std::vector<Pair> pairs_;
  std::unordered_map<std::string, std::size_t> index_;
};

// What is wrong with a key or tensor name; empty if nothing is.
std::string name_error(std::string_view name, std::uint64_t longest);

}  // namespace nkat::gguf
