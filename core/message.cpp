#include "core/message.h"

#include <fmt/format.h>

namespace nkat {

std::string expected(std::string_view wanted, std::string_view found, std::string_view next) {
  return fmt::format("expected {}, found {}{}{}", wanted, found, next.empty() ? "" : "; ", next);
}

std::string one_of(const std::vector<std::string>& names) { return fmt::format("one of {}", fmt::join(names, ", ")); }

std::string first_line(std::string_view text) { return std::string(text.substr(0, text.find('\n'))); }

std::string shell_quoted(std::string_view word) {
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=+,@%";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string_view::npos) return std::string(word);
  std::string text = "'";
  for (const char c : word) {
    if (c == '\'') {
      text += "'\\''";
    } else {
      text += c;
    }
  }
  return text += '\'';
}

}  // namespace nkat
