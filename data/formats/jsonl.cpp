#include "data/formats/jsonl.h"

#include "core/message.h"
#include "core/utf8.h"

namespace nkat::data {

// Puts the next line into line_; of one that is too long only the beginning is kept.
bool JsonlReader::take_line(bool& too_long) {
  line_.clear();
  too_long = false;
  bool any = false;
  while (!file_.rest().empty() || file_.read_more()) {
    any = true;
    const std::string_view rest = file_.rest();
    const std::size_t newline = rest.find('\n');
    if (!too_long) line_ += rest.substr(0, newline);
    if (line_.size() > kRecordLimit) {
      too_long = true;
      line_.resize(1);
    }
    file_.take(newline == std::string_view::npos ? rest.size() : newline + 1);
    if (newline != std::string_view::npos) break;
  }
  if (number_ == 0 && line_.starts_with(kByteOrderMark)) line_.erase(0, kByteOrderMark.size());
  if (!line_.empty() && line_.back() == '\r') line_.pop_back();
  return any;
}

std::optional<RecordText> JsonlReader::next() {
  bool too_long = false;
  while (take_line(too_long)) {
    ++number_;
    RecordText record{.number = number_, .line = number_, .text = {}, .error = {}};
    if (too_long) {
      record.error = expected(fmt::format("a line of at most {} MiB", kRecordLimit >> 20), "a longer one");
      return record;
    }
    if (line_.find_first_not_of(" \t\r") == std::string::npos) continue;
    if (const std::size_t bad = find_invalid_utf8(line_); bad != std::string::npos) {
      record.error = expected("UTF-8", fmt::format("other bytes at byte {} of the line", bad + 1));
    } else {
      record.text = line_;
    }
    return record;
  }
  return std::nullopt;
}

}  // namespace nkat::data
