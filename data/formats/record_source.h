// The records of a data file, one after the other, each as the text of a JSON value. Memory: one record and a chunk.
// A record above 16 MiB, one that is not UTF-8 and one that breaks its file's format come back with an error in place
// of their text, so that the caller decides whether they may be left out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "data/formats/chunked_file.h"

namespace nkat::data {

inline constexpr std::size_t kRecordLimit = std::size_t{16} << 20;  // bytes
inline constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

struct RecordText {
  std::int64_t number = 0;  // of JSONL its line, else its place among the records; from 1
  std::int64_t line = 0;    // where it begins, from 1
  std::string_view text;    // valid until the next call of next()
  std::string error;        // why the text can't be used; empty: it can
};

class RecordSource {
 public:
  explicit RecordSource(ChunkedFile file) : file_(std::move(file)) {}
  RecordSource(const RecordSource&) = delete;
  RecordSource& operator=(const RecordSource&) = delete;
  virtual ~RecordSource() = default;

  virtual std::optional<RecordText> next() = 0;  // nothing: the end of the file
  // Are RecordText::number places among the records?
  virtual bool counts_records() const { return true; }

  // "train.jsonl:17", "train.json:17 (record 3)"
  std::string where(const RecordText& record) const {
    const std::string line = fmt::format("{}:{}", path().string(), record.line);
    return counts_records() ? fmt::format("{} (record {})", line, record.number) : line;
  }
  const fs::path& path() const { return file_.path(); }
  std::uint64_t bytes_read() const { return file_.taken(); }  // up to the record's end
  std::uint64_t file_size() const { return file_.size(); }
  std::string sha256() { return file_.sha256(); }  // of the whole file; call once, after the end

 protected:
  ChunkedFile file_;
};

}  // namespace nkat::data
