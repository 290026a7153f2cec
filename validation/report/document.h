// A report as a list of blocks, written as Markdown or as one self-contained HTML page.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "core/files/file.h"

namespace nkat::validation {

struct Heading {
  int level = 1;  // 1 to 3
  std::string text;
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
};
using Block = std::variant<Heading, Paragraph, Table, Image>;
using Document = std::vector<Block>;

// Images are linked, relative to the folder of the report.
std::string to_markdown(const Document& document, const fs::path& report);
// Images are embedded. An image that can't be read is a DataError.
std::string to_html(const Document& document, const std::string& title);

}  // namespace nkat::validation
