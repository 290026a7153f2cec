// Files that are no text in UTF-8, known by their first bytes: what they are, and the command that makes JSONL or UTF-8 of
// them. Signatures: RFC 1952 (gzip), RFC 8878 (zstd), APPNOTE.TXT 4.3.7 (zip), and each format's own specification.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace nkat::data {

struct ForeignFormat {
  std::string name;  // "a gzip file"
  std::string next;  // what to do: "unpack it: gzip -dc data.jsonl.gz > data.jsonl"
};

// beginning: the first bytes of the file, at least 512 where it has them. path: as the commands name the file.
std::optional<ForeignFormat> find_foreign_format(std::string_view beginning, const std::string& path);

}  // namespace nkat::data
