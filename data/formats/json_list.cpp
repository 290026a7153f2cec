#include "data/formats/json_list.h"

#include <algorithm>

#include "core/error.h"
#include "core/message.h"
#include "core/utf8.h"

namespace nkat::data {
namespace {

constexpr std::string_view kWhite = " \t\r\n";

std::int64_t lines_of(std::string_view text) { return std::ranges::count(text, '\n'); }

// Where an element ends, found byte by byte; its bytes may come in pieces.
class ElementEnd {
 public:
  // How many of these bytes belong to the element.
  std::size_t take(std::string_view bytes) {
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      const End end = in_string_ ? end_in_string(bytes[i]) : end_outside(bytes[i]);
      is_first_ = false;
      if (end == End::kNot) continue;
      is_found_ = true;
      return end == End::kBehind ? i + 1 : i;
    }
    return bytes.size();
  }
  bool is_found() const { return is_found_; }
  bool is_open() const { return in_string_ || depth_ > 0; }
  bool has_broken_string() const { return has_broken_string_; }

 private:
  enum class End { kNot, kHere, kBehind };

  End end_in_string(char byte) {
    if (byte == '\n') has_broken_string_ = string_broke_ = true;
    if (byte == '\n' || (byte == '"' && !escaped_)) in_string_ = false;
    escaped_ = byte == '\\' && !escaped_;
    return !in_string_ && depth_ == 0 ? End::kBehind : End::kNot;
  }
  End end_outside(char byte) {
    const bool is_white = kWhite.find(byte) != std::string_view::npos;
    // The brackets behind a lost quote are part of its string: an object on the next line is the next element.
    if (string_broke_ && byte == '{') return End::kHere;
    string_broke_ = string_broke_ && is_white;
    switch (byte) {
      case '"':
        in_string_ = true;
        escaped_ = false;
        return End::kNot;
      case '{':
      case '[': ++depth_; return End::kNot;
      case '}':
      case ']':
        if (depth_ == 0) return is_first_ ? End::kBehind : End::kHere;
        return --depth_ == 0 ? End::kBehind : End::kNot;
      case ',': return depth_ == 0 ? End::kHere : End::kNot;
      default: return depth_ == 0 && is_white ? End::kHere : End::kNot;
    }
  }

  int depth_ = 0;
  bool in_string_ = false;
  bool escaped_ = false;
  bool string_broke_ = false;  // and nothing but white space came since
  bool has_broken_string_ = false;
  bool is_first_ = true;
  bool is_found_ = false;
};

}  // namespace

std::optional<char> JsonListReader::peek() {
  do {
    const std::string_view rest = file_.rest();
    const std::size_t place = std::min(rest.find_first_not_of(kWhite), rest.size());
    line_ += lines_of(rest.substr(0, place));
    file_.take(place);
    if (place < rest.size()) return rest[place];
  } while (file_.read_more());
  return std::nullopt;
}

std::optional<RecordText> JsonListReader::next() {
  if (state_ == State::kBefore) {
    if (file_.rest().starts_with(kByteOrderMark)) file_.take(kByteOrderMark.size());
    NKAT_INVARIANT(peek() == '[');
    file_.take(1);
    state_ = State::kFirst;
  }
  if (state_ == State::kEnd) return std::nullopt;
  const std::optional<char> byte = peek();
  if (byte == ']') return close_list();
  if (byte) return take_element();
  state_ = State::kEnd;
  return broken("] at the end of the list", "the end of the file");
}

RecordText JsonListReader::take_element() {
  RecordText record{.number = ++number_, .line = line_, .text = {}, .error = {}};
  text_.clear();
  bool too_long = false;
  ElementEnd end;
  while (!end.is_found() && (!file_.rest().empty() || file_.read_more())) {
    const std::string_view piece = file_.rest().substr(0, end.take(file_.rest()));
    line_ += lines_of(piece);
    if (!too_long) text_ += piece;
    file_.take(piece.size());
    too_long = too_long || text_.size() > kRecordLimit;
    if (too_long) text_.resize(1);
  }
  const bool closed = end.is_found() || !end.is_open();
  record.error =
      end.has_broken_string() ? expected("the end of a string", "a line break") : error_of_element(closed, too_long);
  const std::optional<char> next = peek();
  state_ = closed ? State::kAfterElement : State::kEnd;
  if (next == ',') {
    file_.take(1);
    state_ = State::kAfterComma;
  } else if (next && next != ']' && record.error.empty()) {
    record.error = expected("a comma or ] behind the record", ellipsize(file_.rest().substr(0, 20), 12));
  }
  if (record.error.empty()) record.text = text_;
  return record;
}

std::string JsonListReader::error_of_element(bool closed, bool too_long) const {
  if (!closed) return expected("the end of the record", "the end of the file");
  if (too_long) return expected(fmt::format("a record of at most {} MiB", kRecordLimit >> 20), "a longer one");
  if (text_.empty()) return expected("a record", "a comma");
  const std::size_t bad = find_invalid_utf8(text_);
  return bad == std::string::npos ? ""
                                  : expected("UTF-8", fmt::format("other bytes at byte {} of the record", bad + 1));
}

std::optional<RecordText> JsonListReader::close_list() {
  const bool comma = state_ == State::kAfterComma;
  file_.take(1);
  state_ = State::kEnd;
  const bool more = peek().has_value();
  do {
    file_.take(file_.rest().size());
  } while (file_.read_more());
  if (more) return broken("the end of the file behind the list", "more text");
  return comma ? std::optional(broken("a record behind the last comma", "]")) : std::nullopt;
}

RecordText JsonListReader::broken(std::string_view wanted, std::string_view found) {
  return {.number = ++number_, .line = line_, .text = {}, .error = expected(wanted, found)};
}

}  // namespace nkat::data
