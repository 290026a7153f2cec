// CSV (RFC 4180) with a header row: each further row as a JSON object of strings, under the names of its header.
//
//   row     fields between separators (a comma; semicolon and tab are read, too), to a line break (LF or CRLF) outside
//           quotes; a blank line is no row
//   field   plain, or in double quotes, where it may hold separators, line breaks and "" for a quote. A quote inside a
//           plain field stands for itself
//
// A byte-order mark is fine. An empty field is left out of its object, unless its column is one of `always`; so is the
// field of a column without a name. Another number of fields than the header's, text behind a closing quote and a quote
// that the file never closes are errors of their row.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/formats/record_source.h"

namespace nkat::data {

// The names of the header that these bytes begin with; nothing where it doesn't end in them or is no row.
std::optional<std::vector<std::string>> csv_header(std::string_view beginning, char separator);

// One row, whose bytes may come in pieces.
class CsvRow {
 public:
  explicit CsvRow(char separator) : separator_(separator) {}
  // How many of these bytes belong to the row, its line break included; ended() says whether it ends there.
  std::size_t take(std::string_view bytes);
  // No more bytes will come.
  void end_of_file();

  bool ended() const { return ended_; }
  bool blank() const { return fields_.size() == 1 && fields_[0].empty() && !quoted_; }
  const std::vector<std::string>& fields() const { return fields_; }
  const std::string& error() const { return error_; }  // empty: none

 private:
  enum class Place { kFieldStart, kPlain, kQuoted, kBehindQuote };
  void take(char byte);
  void take_outside(char byte);
  void add(char byte);

  char separator_;
  Place place_ = Place::kFieldStart;
  std::vector<std::string> fields_{1};
  std::size_t size_ = 0;
  bool quoted_ = false;  // any field was
  bool ended_ = false;
  std::string error_;
};

class CsvReader : public RecordSource {
 public:
  // FormatError for a header that csv_header() doesn't take, or that has a name twice.
  CsvReader(ChunkedFile file, char separator, std::vector<std::string> always);

  std::optional<RecordText> next() override;

 private:
  CsvRow take_row();
  std::string object_of(const std::vector<std::string>& fields) const;

  char separator_;
  std::vector<std::string> always_;
  std::vector<std::string> header_;
  std::int64_t number_ = 0;
  std::int64_t line_ = 1;
  std::string text_;
};

}  // namespace nkat::data
