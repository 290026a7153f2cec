// JSON Lines: one value a line. A byte-order mark, CRLF, blank lines and a missing last newline are all fine. A record is
// a line; a longer one than 16 MiB is skipped without being held.
#pragma once

#include "data/formats/record_source.h"

namespace nkat::data {

class JsonlReader : public RecordSource {
 public:
  explicit JsonlReader(ChunkedFile file) : RecordSource(std::move(file)) {}
  explicit JsonlReader(const fs::path& path) : JsonlReader(ChunkedFile(path)) {}

  std::optional<RecordText> next() override;
  bool counts_records() const override { return false; }

 private:
  bool take_line(bool& too_long);

  std::int64_t number_ = 0;
  std::string line_;
};

}  // namespace nkat::data
