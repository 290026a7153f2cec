// A report as a list of elements, written as Markdown or as one self-contained HTML page.
//
// The page has no external resources and fits any window from 400 pixels on: in a narrow one, table rows become cards
// whose cells carry their column's name, and wide pictures scroll inside their frame. A cell "pass", "fail" or "not
// measured" gets a sign and a color that color-blind readers can tell apart.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "core/files/file.h"

namespace nkat::validation {

// folded: in HTML, what follows up to the next heading of level 1 or 2 is hidden until it is opened; for level 2.
struct Heading {
  int level = 1;  // 1 to 3
  std::string text;
  bool folded = false;
};
struct Paragraph {
  std::string text;
};
struct Table {
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;
};
struct Image {
  fs::path path;  // of a PNG
  std::string caption;
  std::string section = "Plots";  // heading of the report's section that shows it; "": below the verdict
};
using Element = std::variant<Heading, Paragraph, Table, Image>;
using Document = std::vector<Element>;

// Images are linked, relative to the folder of the report.
std::string to_markdown(const Document& document, const fs::path& report);
// Images are embedded. DataError for an image that can't be read.
std::string to_html(const Document& document, const std::string& title);

}  // namespace nkat::validation
