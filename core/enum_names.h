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
#include <vector>

#include "core/error.h"
#include "core/message.h"

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

template <class Enum, std::size_t kCount>
std::vector<std::string> name_list(const EnumNames<Enum, kCount>& names) {
  std::vector<std::string> list;
  for (const auto& [value, name] : names) list.emplace_back(name);
  return list;
}

// "one of red, blue", for messages.
template <class Enum, std::size_t kCount>
std::string names_of(const EnumNames<Enum, kCount>& names) {
  return one_of(name_list(names));
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
