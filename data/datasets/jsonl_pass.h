// One pass over the records of a data file: what datasets, `nkat data check` and question files have in common. A large file shows a
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
#include "data/formats/record_source.h"

namespace nkat::data {

inline constexpr std::int64_t kNoLimit = std::numeric_limits<std::int64_t>::max();

// How many bad records may be left out of all files together; `before` were, of files already read.
class BadLimit {
 public:
  BadLimit(std::int64_t allowed, std::int64_t before = 0) : allowed_(allowed), before_(before) {}  // implicit: a number
  // DataError if `count` more are too many. messages: the first of them; none if already printed.
  void check(std::int64_t count, const std::vector<std::string>& messages) const;

 private:
  std::int64_t allowed_;
  std::int64_t before_;
};

// Records that can't be used: left out up to a limit, over one file or several.
class BadRecords {
 public:
  enum class Log { kNone, kEach };  // is each one named in the log?
  explicit BadRecords(const BadLimit& limit, std::size_t messages_kept = 5, Log log = Log::kNone)
      : limit_(limit), messages_kept_(messages_kept), log_(log) {}

  void add(const std::string& message);  // DataError above the limit
  std::int64_t count() const { return count_; }
  const std::vector<std::string>& messages() const { return messages_; }  // the first messages_kept

 private:
  BadLimit limit_;
  std::size_t messages_kept_;
  Log log_;
  std::int64_t count_ = 0;
  std::vector<std::string> messages_;
};

struct RecordPlace {
  std::string where;        // "train.jsonl:17"
  std::int64_t number = 0;  // RecordText::number
};

// Calls visit(record, place) for each record, also for one that can't be read (record.error). Returns when visit returns
// false.
void for_each_record(RecordSource& source,
                     const std::function<bool(const RecordText& record, const RecordPlace& place)>& visit);

// parse(text, where) makes a value of each record; an error of exit code 3 that it throws makes it a bad one.
// handle(value, place) takes it, and ends the pass by returning false.
template <class Parse, class Handle>
void parse_records(RecordSource& source, BadRecords& bad, const Parse& parse, const Handle& handle) {
  for_each_record(source, [&](const RecordText& record, const RecordPlace& place) {
    std::optional<decltype(parse(record.text, place.where))> parsed;
    try {
      if (!record.error.empty()) throw FormatError(place.where + ": " + record.error);
      parsed.emplace(parse(record.text, place.where));
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
  const RecordPlace& place;
  std::int64_t whole_length = 0;      // tokens before truncation
  std::vector<std::uint32_t> tokens;  // with label mask (sample_encoder.h), after truncation
  bool is_sample = false;             // not dropped
};

// Counts the records of the whole file and hands each good one to `handle`. Throws what the encoder throws.
RecordCounts encode_records(RecordSource& source, const SampleEncoder& encoder, BadRecords& bad,
                            const std::function<void(const EncodedRecord&)>& handle);

}  // namespace nkat::data
