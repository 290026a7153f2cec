#include "data/formats/csv.h"

#include <algorithm>
#include <set>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/json.h"
#include "core/message.h"
#include "core/utf8.h"

namespace nkat::data {
namespace {

constexpr std::size_t kMostColumns = 4096;  // as many keys as a JSON object may have

std::string trimmed(const std::string& name) {
  const std::size_t begin = name.find_first_not_of(" \t");
  return begin == std::string::npos ? "" : name.substr(begin, name.find_last_not_of(" \t") - begin + 1);
}

std::size_t invalid_field(const std::vector<std::string>& fields) {
  const auto bad =
      std::ranges::find_if(fields, [](const std::string& one) { return find_invalid_utf8(one) != std::string::npos; });
  return static_cast<std::size_t>(bad - fields.begin());
}

std::string error_of(const CsvRow& row, std::size_t columns) {
  if (!row.error().empty()) return row.error();
  if (row.fields().size() != columns)
    return expected(fmt::format("{} fields, as in the header", columns), std::to_string(row.fields().size()));
  const std::size_t bad = invalid_field(row.fields());
  return bad == columns ? "" : expected("UTF-8", fmt::format("other bytes in field {}", bad + 1));
}

}  // namespace

std::optional<std::vector<std::string>> csv_header(std::string_view beginning, char separator) {
  if (beginning.starts_with(kByteOrderMark)) beginning.remove_prefix(kByteOrderMark.size());
  CsvRow row(separator);
  row.take(beginning);
  if (!row.ended()) row.end_of_file();
  if (!row.error().empty() || row.fields().size() > kMostColumns || invalid_field(row.fields()) < row.fields().size())
    return std::nullopt;
  std::vector<std::string> names;
  for (const std::string& field : row.fields()) names.push_back(trimmed(field));
  return names;
}

std::size_t CsvRow::take(std::string_view bytes) {
  std::size_t i = 0;
  while (i < bytes.size() && !ended_) take(bytes[i++]);
  return i;
}

void CsvRow::take(char byte) {
  if (place_ == Place::kQuoted) {
    if (byte == '"') {
      place_ = Place::kBehindQuote;
    } else {
      add(byte);
    }
  } else if (place_ == Place::kBehindQuote && byte == '"') {
    add(byte);
    place_ = Place::kQuoted;
  } else if (place_ == Place::kFieldStart && byte == '"') {
    quoted_ = true;
    place_ = Place::kQuoted;
  } else {
    take_outside(byte);
  }
}

void CsvRow::take_outside(char byte) {
  if (byte == separator_) {
    if (fields_.size() <= kMostColumns) fields_.emplace_back();
    place_ = Place::kFieldStart;
  } else if (byte == '\n') {
    if (place_ == Place::kPlain && fields_.back().ends_with('\r')) fields_.back().pop_back();
    ended_ = true;
  } else if (place_ == Place::kBehindQuote) {
    if (byte != '\r' && error_.empty())
      error_ = expected(fmt::format("'{}' or the line's end behind a closing quote", separator_),
                        fmt::format("other text in field {}", fields_.size()));
  } else {
    place_ = Place::kPlain;
    add(byte);
  }
}

void CsvRow::add(char byte) {
  if (++size_ <= kRecordLimit) {
    fields_.back().push_back(byte);
  } else if (error_.empty()) {
    error_ = expected(fmt::format("a row of at most {} MiB", kRecordLimit >> 20), "a longer one");
  }
}

void CsvRow::end_of_file() {
  if (place_ == Place::kQuoted) error_ = expected("a closing quote", "the end of the file");
  if (place_ == Place::kPlain && fields_.back().ends_with('\r')) fields_.back().pop_back();
  ended_ = true;
}

CsvReader::CsvReader(ChunkedFile file, char separator, std::vector<std::string> always)
    : RecordSource(std::move(file)), separator_(separator), always_(std::move(always)) {
  std::optional<std::vector<std::string>> header = csv_header(file_.rest(), separator_);
  if (!header)
    throw FormatError(fmt::format("{}: {}", path().string(), expected("a CSV header", "another first line")));
  if (file_.rest().starts_with(kByteOrderMark)) file_.take(kByteOrderMark.size());
  take_row();
  header_ = std::move(*header);
  std::set<std::string_view> names;
  for (const std::string& name : header_) {
    if (!name.empty() && !names.insert(name).second)
      throw FormatError(fmt::format("{}: the CSV header has the column '{}' twice", path().string(), ellipsize(name)));
  }
}

CsvRow CsvReader::take_row() {
  CsvRow row(separator_);
  while (!row.ended() && (!file_.rest().empty() || file_.read_more())) {
    const std::string_view piece = file_.rest().substr(0, row.take(file_.rest()));
    line_ += std::ranges::count(piece, '\n');
    file_.take(piece.size());
  }
  if (!row.ended()) row.end_of_file();
  return row;
}

std::optional<RecordText> CsvReader::next() {
  while (!file_.rest().empty() || file_.read_more()) {
    RecordText record{.number = number_ + 1, .line = line_, .text = {}, .error = {}};
    const CsvRow row = take_row();
    if (row.blank()) continue;
    ++number_;
    record.error = error_of(row, header_.size());
    text_ = record.error.empty() ? object_of(row.fields()) : "";
    record.text = text_;
    return record;
  }
  return std::nullopt;
}

std::string CsvReader::object_of(const std::vector<std::string>& fields) const {
  nlohmann::ordered_json object = nlohmann::ordered_json::object();
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const bool kept = !fields[i].empty() || std::ranges::find(always_, header_[i]) != always_.end();
    if (kept && !header_[i].empty()) object.emplace(header_[i], fields[i]);
  }
  return dump_json(object);
}

}  // namespace nkat::data
