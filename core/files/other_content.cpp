#include "core/files/other_content.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "core/error.h"
#include "core/message.h"
#include "core/utf8.h"

namespace nkat {
namespace {

constexpr std::array<std::string_view, 3> kPageBeginnings = {"<!doctype html", "<html", "<?xml"};
constexpr std::size_t kLongestMessage = 1024;  // bytes of a server's answer in a file's place

char small_letter(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

bool is_printable(char c) { return (c >= ' ' && c <= '~') || c == '\n' || c == '\r' || c == '\t'; }

}  // namespace

bool is_web_page(std::string_view bytes) {
  if (bytes.starts_with("\xEF\xBB\xBF")) bytes.remove_prefix(3);
  bytes.remove_prefix(std::min(bytes.find_first_not_of(" \t\r\n"), bytes.size()));
  return std::ranges::any_of(kPageBeginnings, [&](std::string_view beginning) {
    return bytes.size() >= beginning.size() &&
           std::ranges::equal(bytes.substr(0, beginning.size()), beginning, {}, small_letter);
  });
}

std::string other_content(std::string_view bytes) {
  if (bytes.empty()) return "an empty file";
  if (is_web_page(bytes)) return "a web page";
  if (bytes.size() > kLongestMessage || !std::ranges::all_of(bytes, is_printable)) return "";
  return fmt::format("the text '{}'", ellipsize(first_line(bytes), 80));
}

void refuse_other_content(std::string_view bytes, std::string_view wanted, std::string_view source) {
  const std::string found = other_content(bytes);
  if (found.empty()) return;
  throw FormatError(fmt::format("{}: {}", source, expected(wanted, found, "download it again")));
}

}  // namespace nkat
