// One pass over a JSONL file: what datasets, `nkat data check` and question files have in common. A large file shows a
// progress bar; a stop signal ends the pass (Interrupted).
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "data/datasets/record_counts.h"
#include "data/datasets/sample_encoder.h"
#include "data/formats/jsonl.h"

namespace nkat::data {

inline constexpr std::int64_t kNoLimit = std::numeric_limits<std::int64_t>::max();

// Records that can't be used: left out up to a limit, over one file or several.
class BadRecords {
 public:
  enum class Log { kNone, kEach };  // is each one named in the log?
  explicit BadRecords(std::int64_t allowed, std::size_t messages_kept = 5, Log log = Log::kNone)
      : allowed_(allowed), messages_kept_(messages_kept), log_(log) {}
  // Those of files read before count toward what is allowed.
  void set_before(std::int64_t count) { before_ = count; }

  void add(const std::string& message);  // refuse_bad_records() above the limit
  std::int64_t count() const { return count_; }
  const std::vector<std::string>& messages() const { return messages_; }  // the first messages_kept

 private:
  std::int64_t allowed_;
  std::size_t messages_kept_;
  Log log_;
  std::int64_t before_ = 0;
  std::int64_t count_ = 0;
  std::vector<std::string> messages_;
};

// DataError: more bad records than --max-bad-records allows. messages: the first of them; none if already printed.
[[noreturn]] void refuse_bad_records(std::int64_t count, std::int64_t allowed,
                                     const std::vector<std::string>& messages);

struct JsonlPlace {
  std::string where;      // "train.jsonl:17"
  std::int64_t line = 0;  // from 1
};

// Calls visit(line, place) for each line that isn't blank, also for one that can't be read (line.error). Returns when
// visit returns false.
void for_each_line(JsonlReader& reader,
                   const std::function<bool(const JsonlLine& line, const JsonlPlace& place)>& visit);

// parse(text, where) makes a value of each line; an error of exit code 3 that it throws makes the line a bad record.
// handle(value, place) takes it, and ends the pass by returning false.
template <class Parse, class Handle>
void parse_lines(JsonlReader& reader, BadRecords& bad, const Parse& parse, const Handle& handle) {
  for_each_line(reader, [&](const JsonlLine& line, const JsonlPlace& place) {
    std::optional<decltype(parse(line.text, place.where))> parsed;
    try {
      if (!line.error.empty()) throw FormatError(place.where + ": " + line.error);
      parsed.emplace(parse(line.text, place.where));
    } catch (const Error& error) {
      if (error.exit_code() != ExitCode::kInput) throw;
      bad.add(error.what());
      return true;
    }
    return handle(std::move(*parsed), place);
  });
}

// A good record as the encoder makes a sample of it.
struct EncodedRecord {
  const Record& record;
  const JsonlPlace& place;
  std::int64_t whole_length = 0;      // tokens before truncation
  std::vector<std::uint32_t> tokens;  // with label mask (sample_encoder.h), after truncation
  bool is_sample = false;             // not dropped
};

// Counts the records of the whole file and hands each good one to `handle`. Throws what the encoder throws.
RecordCounts encode_records(JsonlReader& reader, const SampleEncoder& encoder, BadRecords& bad,
                            const std::function<void(const EncodedRecord&)>& handle);

}  // namespace nkat::data
