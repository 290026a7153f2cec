// What one pass over data files counted. A new counter is a field and its row in kRecordCounters.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "core/json_object.h"

namespace nkat::data {

inline constexpr std::size_t kMostUnused = 24;  // names, so that a cache's header holds them
inline constexpr const char* kOtherNames = "others";

struct RecordCounts {
  std::int64_t records = 0;        // good and bad ones, blank lines aside
  std::int64_t bad_records = 0;    // left out
  std::int64_t rendered = 0;       // records whose text or output was a rendered conversation
  std::int64_t context_turns = 0;  // assistant turns that are marked as not to be learned
  std::int64_t truncated = 0;
  std::int64_t dropped_overlong = 0;
  std::int64_t dropped_without_target = 0;
  std::int64_t samples = 0;
  std::int64_t tokens = 0;  // of the samples, after truncation
  std::int64_t target_tokens = 0;
  std::int64_t tokens_cut_off = 0;               // by truncation
  std::map<std::string, std::int64_t> kinds;     // records by kind_name()
  std::map<std::string, std::int64_t> labels;    // four-class records by label
  std::map<std::string, std::int64_t> unused;    // records by what they carry and training doesn't use (record.h)
  std::map<std::string, std::int64_t> left_out;  // records whose rendering lacks it: "system turn"
  std::string changed_text;  // where a later turn changes an earlier one's text: the first case, with both; else empty
  std::vector<std::string> bad_messages;  // the first few

  // A file that is repeated N times counts its records once and its samples N times.
  void add(const RecordCounts& file, std::int64_t repeats = 1);
  // One more record that carries it; names above kMostUnused are counted as one, kOtherNames.
  void add_unused(const std::string& name, std::int64_t count = 1);
};

// What whoever trains on these records should know: what the chat template leaves out of them or changes.
std::vector<std::string> rendering_warnings(const RecordCounts& counts);

// Statistics of one file or of a whole dataset.
struct DatasetSummary : RecordCounts {
  bool counts_records = false;  // samples are found by their place among the records, not by a line
  std::int64_t longest = 0;     // tokens of the longest sample
  std::int64_t largest_id = 0;  // token id
  std::string sha256 = "";      // of the files' bytes, repeats, and what decides their tokens
};

struct RecordCounter {
  const char* key;  // in JSON
  std::int64_t RecordCounts::*field;
  bool per_repeat;
};
inline constexpr std::array kRecordCounters = {
    RecordCounter{"records", &RecordCounts::records, false},
    RecordCounter{"bad_records", &RecordCounts::bad_records, false},
    RecordCounter{"rendered", &RecordCounts::rendered, false},
    RecordCounter{"context_turns", &RecordCounts::context_turns, false},
    RecordCounter{"cut", &RecordCounts::truncated, false},
    RecordCounter{"dropped_overlong", &RecordCounts::dropped_overlong, false},
    RecordCounter{"dropped_without_target", &RecordCounts::dropped_without_target, false},
    RecordCounter{"samples", &RecordCounts::samples, true},
    RecordCounter{"tokens", &RecordCounts::tokens, true},
    RecordCounter{"target_tokens", &RecordCounts::target_tokens, true},
    RecordCounter{"tokens_cut_off", &RecordCounts::tokens_cut_off, true},
};

// left_out and changed_text stand only where there is something to say.
nlohmann::ordered_json to_json(const RecordCounts& counts);
// The inverse; the object may hold other keys too.
RecordCounts record_counts_from(const JsonObject& object);

}  // namespace nkat::data
