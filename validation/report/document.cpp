#include "validation/report/document.h"

#include <algorithm>
#include <array>

#include <openssl/evp.h>

#include "core/error.h"

namespace nkat::validation {
namespace {

constexpr std::uint64_t kLargestImage = 64ULL << 20;

template <class... Visitors>
struct Overloaded : Visitors... {
  using Visitors::operator()...;
};
template <class... Visitors>
Overloaded(Visitors...) -> Overloaded<Visitors...>;

std::string markdown_cell(std::string_view text) {
  std::string cell;
  for (const char letter : text) {
    if (letter == '|') cell += '\\';
    cell += letter == '\n' ? ' ' : letter;
  }
  return cell;
}

std::string markdown_row(const std::vector<std::string>& cells) {
  std::string row = "|";
  for (const std::string& cell : cells) row += fmt::format(" {} |", markdown_cell(cell));
  return row + "\n";
}

std::string markdown_table(const Table& table) {
  std::string text = markdown_row(table.header) + "|";
  for (std::size_t i = 0; i < table.header.size(); ++i) text += "---|";
  text += "\n";
  for (const auto& row : table.rows) text += markdown_row(row);
  return text;
}

std::string escaped(std::string_view text) {
  static constexpr std::array<std::pair<char, std::string_view>, 4> kNames = {
      {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}}};
  std::string html;
  for (const char letter : text) {
    const auto* name = std::ranges::find(kNames, letter, &std::pair<char, std::string_view>::first);
    if (name == kNames.end())
      html += letter;
    else
      html += name->second;
  }
  return html;
}

std::string html_row(const std::vector<std::string>& cells, const char* tag) {
  std::string row = "<tr>";
  for (const std::string& cell : cells) {
    const bool status = cell == "pass" || cell == "fail";
    row += fmt::format("<{0}{1}>{2}</{0}>", tag, status ? fmt::format(" class=\"{}\"", cell) : "", escaped(cell));
  }
  return row + "</tr>\n";
}

std::string html_table(const Table& table) {
  std::string html = "<div class=\"wide\"><table>\n" + html_row(table.header, "th");
  for (const auto& row : table.rows) html += html_row(row, "td");
  return html + "</table></div>\n";
}

std::string base64(const std::string& bytes) {
  std::vector<unsigned char> text((bytes.size() + 2) / 3 * 4 + 1);  // with the NUL that OpenSSL adds
  NKAT_INVARIANT(bytes.size() <= kLargestImage);
  EVP_EncodeBlock(text.data(), reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  return {text.begin(), text.end() - 1};
}

constexpr std::string_view kStyle =
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse;font-size:.875rem}td,th{border:1px solid #ccc;padding:.25rem .5rem;text-align:left}"
    "th{background:#f3f3f3}.pass{color:#00664b;font-weight:600}.fail{color:#b04a00;font-weight:600}"
    ".wide{overflow-x:auto}img{max-width:100%}figcaption{color:#555;font-size:.875rem}figure{margin:1rem 0}";

}  // namespace

std::string to_markdown(const Document& document, const fs::path& report) {
  const fs::path folder = fs::absolute(report).parent_path();
  std::string text;
  const Overloaded write{
      [&](const Heading& heading) { text += fmt::format("{:#<{}} {}\n", "", heading.level, heading.text); },
      [&](const Paragraph& paragraph) { text += paragraph.text + "\n"; },
      [&](const Table& table) { text += markdown_table(table); },
      [&](const Image& image) {
        text +=
            fmt::format("![{}](<{}>)\n", image.caption, fs::absolute(image.path).lexically_relative(folder).string());
      },
  };
  for (const Block& block : document) {
    if (!text.empty()) text += "\n";
    std::visit(write, block);
  }
  return text;
}

std::string to_html(const Document& document, const std::string& title) {
  std::string html = fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width\"><title>{}</title><style>{}</style></head><body>\n",
      escaped(title), kStyle);
  const Overloaded write{
      [&](const Heading& heading) { html += fmt::format("<h{0}>{1}</h{0}>\n", heading.level, escaped(heading.text)); },
      [&](const Paragraph& paragraph) { html += fmt::format("<p>{}</p>\n", escaped(paragraph.text)); },
      [&](const Table& table) { html += html_table(table); },
      [&](const Image& image) {
        html += fmt::format(
            "<figure><img alt=\"{0}\" src=\"data:image/png;base64,{1}\"><figcaption>{0}</figcaption></figure>\n",
            escaped(image.caption), base64(read_file(image.path, kLargestImage)));
      },
  };
  for (const Block& block : document) std::visit(write, block);
  return html + "</body></html>\n";
}

}  // namespace nkat::validation
