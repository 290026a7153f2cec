#include "validation/report/document.h"

#include <algorithm>
#include <array>

#include "core/files/base64.h"
#include "core/overloaded.h"

namespace nkat::validation {
namespace {

constexpr std::uint64_t kLargestImage = 64ULL << 20;

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

// Escaped, with SHA-256 hashes shortened to 12 characters; the whole hash is the tooltip.
std::string html_text(std::string_view text) {
  constexpr std::size_t kHash = 64, kShown = 12;
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string html;
  while (!text.empty()) {
    const std::size_t begin = std::min(text.find_first_of(kDigits), text.size());
    const std::size_t end = std::min(text.find_first_not_of(kDigits, begin), text.size());
    html += escaped(text.substr(0, begin));
    const std::string_view run = text.substr(begin, end - begin);
    html += run.size() == kHash ? fmt::format("<code title=\"{}\">{}</code>", run, run.substr(0, kShown))
                                : std::string(run);
    text.remove_prefix(end);
  }
  return html;
}

// A word that a column can't be made as wide as: it may be broken anywhere.
bool has_long_word(std::string_view text) {
  constexpr std::size_t kLongest = 24;
  while (text.size() > kLongest) {
    const std::size_t end = std::min(text.find(' '), text.size());
    if (end > kLongest) return true;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return false;
}

struct Sign {
  std::string_view status;
  std::string_view css_class;
  std::string_view symbol;
};
constexpr std::array<Sign, 3> kSigns = {
    {{"pass", "pass", "\u2713"}, {"fail", "fail", "\u2717"}, {"not measured", "open", "\u2013"}}};

std::string html_cell(const std::string& column, const std::string& cell) {
  const auto* sign = std::ranges::find(kSigns, cell, &Sign::status);
  if (sign == kSigns.end()) {
    return fmt::format("<td data-column=\"{}\"{}><span>{}</span></td>", escaped(column),
                       has_long_word(cell) ? " class=\"long\"" : "", html_text(cell));
  }
  return fmt::format("<td data-column=\"{}\" class=\"{}\"><span><b aria-hidden=\"true\">{}</b> {}</span></td>",
                     escaped(column), sign->css_class, sign->symbol, cell);
}

std::string html_table(const Table& table) {
  std::string html = "<table>\n<thead><tr>";
  for (const std::string& column : table.header) html += fmt::format("<th>{}</th>", escaped(column));
  html += "</tr></thead>\n<tbody>\n";
  for (const auto& row : table.rows) {
    html += "<tr>";
    for (std::size_t i = 0; i < row.size(); ++i) html += html_cell(table.header.at(i), row[i]);
    html += "</tr>\n";
  }
  return html + "</tbody></table>\n";
}

std::string html_image(const Image& image) {
  return fmt::format(
      "<figure><div class=\"picture\"><img alt=\"{0}\" src=\"data:image/png;base64,{1}\"></div>"
      "<figcaption>{0}</figcaption></figure>\n",
      escaped(image.caption), base64(read_file(image.path, kLargestImage)));
}

// Pass is blue and fail vermilion (Okabe and Ito), darkened until they contrast with white 4.5 to 1.
constexpr std::string_view kStyle = R"(
*{box-sizing:border-box}
body{font:16px/1.5 system-ui,sans-serif;max-width:64rem;margin:1.5rem auto;padding:0 1rem;color:#222;
  overflow-wrap:break-word}
h1{font-size:1.5rem;line-height:1.25}h1+p{font-size:1.125rem;border-left:.3rem solid #0072b2;padding-left:.75rem}
table{border-collapse:collapse;width:100%;font-size:.875rem;margin:.75rem 0}
td,th{border:1px solid #ddd;padding:.25rem .5rem;text-align:left;vertical-align:top}th{background:#f3f3f3}
.pass{color:#005b8f;font-weight:600}.fail{color:#a84400;font-weight:600}.open{color:#666}
td.long{overflow-wrap:anywhere}figure{margin:1rem 0}
.picture{overflow-x:auto}img{max-width:100%;height:auto;display:block}
figcaption{color:#555;font-size:.875rem}
details{border-top:1px solid #ddd;padding:.25rem 0}summary{cursor:pointer}summary h2{display:inline;font-size:1.125rem}
@media(max-width:44rem){img{max-width:none;width:40rem}}
@media(max-width:60rem){
  thead{display:none}table,tbody,tr,td{display:block}
  tr{border:1px solid #ddd;border-radius:.25rem;margin:.5rem 0;padding:.25rem 0}
  td{border:0;display:grid;grid-template-columns:8rem minmax(0,1fr);gap:.5rem}
  td:first-child{font-weight:600}td::before{content:attr(data-column);color:#555;font-weight:400}
}
)";

// Writes a page element by element, closing what a heading ends.
class HtmlWriter {
 public:
  void operator()(const Heading& heading) {
    if (heading.level <= 2) close_fold();
    const std::string title = fmt::format("<h{0}>{1}</h{0}>", heading.level, escaped(heading.text));
    html_ += heading.folded ? fmt::format("<details><summary>{}</summary>\n", title) : title + "\n";
    fold_is_open_ = fold_is_open_ || heading.folded;
  }
  void operator()(const Paragraph& paragraph) { html_ += fmt::format("<p>{}</p>\n", html_text(paragraph.text)); }
  void operator()(const Table& table) { html_ += html_table(table); }
  void operator()(const Image& image) { html_ += html_image(image); }

  std::string finish() {
    close_fold();
    return std::move(html_);
  }

 private:
  void close_fold() {
    if (fold_is_open_) html_ += "</details>\n";
    fold_is_open_ = false;
  }

  std::string html_ = {};
  bool fold_is_open_ = false;
};

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
  for (const Element& element : document) {
    if (!text.empty()) text += "\n";
    std::visit(write, element);
  }
  return text;
}

std::string to_html(const Document& document, const std::string& title) {
  HtmlWriter body;
  for (const Element& element : document) std::visit([&](const auto& one) { body(one); }, element);
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width, initial-scale=1\"><title>{}</title><style>{}</style></head><body>\n"
      "{}</body></html>\n",
      escaped(title), kStyle, body.finish());
}

}  // namespace nkat::validation
