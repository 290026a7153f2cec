#include "data/datasets/open_records.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/error.h"
#include "core/message.h"
#include "core/utf8.h"
#include "data/datasets/record.h"
#include "data/formats/csv.h"
#include "data/formats/foreign_format.h"
#include "data/formats/json_list.h"
#include "data/formats/jsonl.h"

namespace nkat::data {
namespace {

constexpr const char* kWanted = "JSON Lines, one JSON list, or CSV with a header";

[[noreturn]] void refuse(const fs::path& path, std::string_view found, std::string_view next) {
  throw DataError(fmt::format("{}: {}", path.string(), expected(kWanted, found, next)));
}

// Of a file that begins with an object: that object's keys with lists, and where it ends.
struct FirstObject {
  std::vector<std::string> keys;
  std::string list;         // the first key that holds a list of objects, or of lists
  bool over_lines = false;  // a line ends inside it
  bool ended = false;
  bool followed = false;  // something stands behind it
};

class ObjectScanner {
 public:
  FirstObject scan(std::string_view text) {
    std::size_t i = 0;
    for (; i < text.size() && !ended_; ++i) take(text, i);
    found_.ended = ended_;
    found_.followed = text.find_first_not_of(" \t\r\n", i) != std::string_view::npos;
    return std::move(found_);
  }

 private:
  void take(std::string_view text, std::size_t& i) {
    const char byte = text[i];
    if (byte == '"') {
      take_string(text, i);
    } else if (byte == '{' || byte == '[') {
      if (depth_ == 1 && byte == '[' && found_.list.empty() && !key_.empty()) open_list(text.substr(i + 1));
      ++depth_;
    } else if (byte == '}' || byte == ']') {
      ended_ = --depth_ <= 0;
    } else if (byte == '\n') {
      found_.over_lines = found_.over_lines || goes_on(text, i);
      ended_ = !found_.over_lines;
    }
  }
  // Does the object go on below the end of its first line? Otherwise that is a line of JSONL that was cut.
  bool goes_on(std::string_view text, std::size_t line_end) const {
    const std::size_t last = text.find_last_not_of(" \t\r\n", line_end);
    const std::size_t next = text.find_first_not_of(" \t\r\n", line_end);
    if (std::string_view("{[,:").find(text[last]) == std::string_view::npos) return false;
    const bool key_follows = depth_ == 1 && text[last] != ':';
    return !key_follows || next == std::string_view::npos || text[next] == '"' || text[next] == '}';
  }
  void take_string(std::string_view text, std::size_t& i) {
    const std::size_t begin = ++i;
    while (i < text.size() && text[i] != '"' && text[i] != '\n') i += text[i] == '\\' ? 2 : 1;
    if (i < text.size() && text[i] == '\n') ended_ = true;  // no JSON string
    const std::size_t behind = i < text.size() ? text.find_first_not_of(" \t\r\n", i + 1) : std::string_view::npos;
    if (depth_ != 1 || behind == std::string_view::npos || text[behind] != ':') return;
    key_ = text.substr(begin, i - begin);
    found_.keys.push_back(key_);
  }
  void open_list(std::string_view rest) {
    const std::size_t first = rest.find_first_not_of(" \t\r\n");
    if (first == std::string_view::npos || (rest[first] != '{' && rest[first] != '[')) return;
    const std::size_t key = rest.find_first_not_of(" \t\r\n{", first);
    for (const std::string_view of_message : {"\"role\"", "\"from\"", "\"content\"", "\"value\""}) {
      if (key != std::string_view::npos && rest.substr(key).starts_with(of_message)) return;  // no list of records
    }
    found_.list = key_;
  }

  FirstObject found_;
  std::string key_;
  int depth_ = 0;
  bool ended_ = false;
};

// The object at this place of rest(), read to its end or to the length of the longest record.
FirstObject first_object(ChunkedFile& file, std::size_t begin) {
  FirstObject object = ObjectScanner().scan(file.rest().substr(begin));
  while (!object.ended && !object.over_lines && file.rest().size() <= kRecordLimit && file.read_more())
    object = ObjectScanner().scan(file.rest().substr(begin));
  return object;
}

// One object that is the whole file, or spread over lines, is no JSONL; where it holds a list, that is what is meant.
void refuse_document(const FirstObject& object, const fs::path& path) {
  if (!object.over_lines && (object.followed || object.list.empty() || !kind_keys(object.keys).empty())) return;
  fs::path output = path;
  output.replace_extension(".records.jsonl");
  const bool in_list = !object.list.empty() && kind_keys(object.keys).empty();
  const std::string filter = in_list ? fmt::format(".[\"{}\"][]", object.list) : ".";
  refuse(path,
         in_list ? fmt::format("one JSON object with a list '{}'", ellipsize(object.list, 40))
                 : "a JSON object over several lines",
         fmt::format("make JSON Lines of it: jq -c {} {} > {}", shell_quoted(filter), shell_quoted(path.string()),
                     shell_quoted(output.string())));
}

// The separator under which the first line names a kind of record; 0: none does.
char csv_separator(std::string_view beginning) {
  for (const char separator : {',', ';', '\t'}) {
    const std::optional<std::vector<std::string>> header = csv_header(beginning, separator);
    if (header && !kind_keys(*header).empty()) return separator;
  }
  return 0;
}

bool has_json_line(std::string_view text) {
  for (std::size_t line = text.find('\n'); line != std::string_view::npos; line = text.find('\n', line + 1)) {
    if (text.substr(line + 1).starts_with('{')) return true;
  }
  return false;
}

// Is this line, of a file without objects, the header of a table? One word could be anything.
void refuse_other_header(const fs::path& path, std::string_view beginning) {
  if (has_json_line(beginning)) return;
  for (const char separator : {',', ';', '\t'}) {
    const std::optional<std::vector<std::string>> header = csv_header(beginning, separator);
    if (!header || header->size() < 2) continue;
    refuse(path,
           fmt::format("a first line with the names {}", ellipsize(fmt::format("{}", fmt::join(*header, ", ")), 200)),
           fmt::format("name the columns of the CSV by a kind of record: {}", kRecordKinds));
  }
}

}  // namespace

std::unique_ptr<RecordSource> open_records(const fs::path& path) {
  ChunkedFile file(path);
  file.read_more();
  const std::string_view beginning = file.rest();
  if (const std::optional<ForeignFormat> foreign = find_foreign_format(beginning, path.string()))
    refuse(path, foreign->name, foreign->next);
  const std::size_t mark = beginning.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0;
  const std::size_t first = std::min(beginning.find_first_not_of(" \t\r\n", mark), beginning.size());
  const std::string_view text = beginning.substr(first);
  if (text.starts_with('[')) return std::make_unique<JsonListReader>(std::move(file));
  if (text.starts_with('{')) {
    refuse_document(first_object(file, first), path);
  } else if (const char separator = csv_separator(beginning); separator != 0) {
    std::vector<std::string> fields = kind_keys(*csv_header(beginning, separator));
    return std::make_unique<CsvReader>(std::move(file), separator, std::move(fields));
  } else if (!text.empty()) {
    refuse_other_header(path, beginning);
  }
  return std::make_unique<JsonlReader>(std::move(file));
}

}  // namespace nkat::data
