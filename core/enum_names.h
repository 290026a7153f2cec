// The names of an enum's values, declared once beside the enum and used by options, config files and reports.
//
//   enum class Color { kRed, kBlue };
//   inline constexpr EnumNames<Color, 2> kColorNames = {{{Color::kRed, "red"}, {Color::kBlue, "blue"}}};
//   name_of(Color::kBlue, kColorNames);   // "blue"
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/error.h"

namespace nkat {

template <class Enum, std::size_t kCount>
using EnumNames = std::array<std::pair<Enum, std::string_view>, kCount>;

template <class Enum, std::size_t kCount>
std::string name_of(Enum value, const EnumNames<Enum, kCount>& names) {
  for (const auto& [one, name] : names) {
    if (one == value) return std::string(name);
  }
  throw InternalError("an enum's value has no name");
}

// "one of red, blue", for messages.
template <class Enum, std::size_t kCount>
std::string names_of(const EnumNames<Enum, kCount>& names) {
  std::string text;
  for (const auto& [value, name] : names) text += (text.empty() ? "one of " : ", ") + std::string(name);
  return text;
}

// Nothing for an unknown name.
template <class Enum, std::size_t kCount>
std::optional<Enum> value_of(std::string_view name, const EnumNames<Enum, kCount>& names) {
  for (const auto& [value, one] : names) {
    if (one == name) return value;
  }
  return std::nullopt;
}

}  // namespace nkat
