// Lines of a JSONL file, one after the other, in memory of one line: a byte-order mark, CRLF, blank lines and a missing
// last newline are all fine. A line above 16 MiB or one that is not UTF-8 comes back with an error in place of its
// text, so that the caller decides whether it may be left out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/files/file.h"
#include "core/files/sha256.h"

namespace nkat::data {

inline constexpr std::size_t kLineLimit = std::size_t{16} << 20;

struct JsonlLine {
  std::int64_t number = 0;  // counts from 1, blank lines too
  std::string_view text;    // valid until the next call of next()
  std::string error;        // why the text can't be used; empty: it can
};

class JsonlReader {
 public:
  // DataError at once for a file that begins as UTF-16 or as a JSON list.
  explicit JsonlReader(const fs::path& path);

  std::optional<JsonlLine> next();  // nothing: the end of the file

  const fs::path& path() const { return path_; }
  std::string where(std::int64_t number) const;                                            // "train.jsonl:17"
  std::uint64_t bytes_read() const { return bytes_read_ - (buffer_.size() - position_); }  // up to the line's end
  std::uint64_t file_size() const { return file_size_; }
  std::string sha256() { return hash_.hex(); }  // of the whole file; call once, after the end

 private:
  bool fill();
  bool take_line(bool& too_long);
  void check_beginning();

  fs::path path_;
  FileDescriptor file_;
  std::uint64_t file_size_ = 0;
  std::uint64_t bytes_read_ = 0;  // from the file into the buffer
  std::int64_t number_ = 0;
  std::string buffer_;
  std::size_t position_ = 0;
  std::string line_;
  Sha256 hash_;
};

// SHA-256 of a file's bytes, read in pieces. A stop signal ends it (Interrupted).
std::string sha256_of_file(const fs::path& path);

}  // namespace nkat::data
