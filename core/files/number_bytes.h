// The bytes of a number as the little-endian file formats hold it: GGUF, safetensors, protobuf, TensorBoard's records.
#pragma once

#include <bit>
#include <string>
#include <string_view>
#include <type_traits>

namespace nkat {

static_assert(std::endian::native == std::endian::little, "files are written as the machine holds numbers");

template <class Number>
requires std::is_arithmetic_v<Number> std::string_view bytes_of(const Number& number) {
  return {reinterpret_cast<const char*>(&number), sizeof number};
}

template <class Number>
void append_number(std::string& out, Number number) {
  out += bytes_of(number);
}

}  // namespace nkat
