// The samples of a run: data files read once, checked whole, tokenized, and kept in memory-mapped caches.
//
// The first use of a file makes a cache in core's cache_folder(), named by the hash of the file's bytes and of
// everything that decides its tokens; later runs map it. A damaged cache is made again; where the folder can't be
// written, a temporary file takes its place. Memory: 16 bytes a record while a cache is made, nothing that grows
// afterwards.
//
// Throws DataError "file:line: what, what was expected" for the first bad record above max_bad_records, and for a file
// that leaves no target; ConfigError for a malformed FILE:N; Interrupted when a stop signal comes in the middle.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/datasets/dataset_options.h"
#include "data/datasets/sample_encoder.h"
#include "data/datasets/token_cache.h"
#include "data/text/chat_template.h"
#include "data/text/tokenizer.h"

namespace nkat::data {

struct SampleView {
  std::span<const std::uint32_t> marked;  // token id | kTargetBit where the token is a target
  std::int64_t length() const { return static_cast<std::int64_t>(marked.size()); }
  std::int32_t token(std::int64_t i) const {
    return static_cast<std::int32_t>(marked[static_cast<std::size_t>(i)] & ~kTargetBit);
  }
  bool is_target(std::int64_t i) const { return (marked[static_cast<std::size_t>(i)] & kTargetBit) != 0; }
  std::int64_t target_count() const;
};

// What one file, or all of them, came to. Records, drops and kinds count each file once; samples and tokens with
// its repeats.
struct DatasetSummary {
  std::int64_t records = 0;      // good and bad ones, blank lines aside
  std::int64_t bad_records = 0;  // left out
  std::int64_t cut = 0;
  std::int64_t dropped_overlong = 0;
  std::int64_t dropped_without_target = 0;
  std::int64_t rendered = 0;  // records whose text or output was a rendered conversation
  std::int64_t samples = 0;
  std::int64_t tokens = 0;
  std::int64_t target_tokens = 0;
  std::int64_t longest = 0;  // tokens of the longest sample
  std::int64_t largest_id = 0;
  std::map<std::string, std::int64_t> kinds;   // by kind_name
  std::map<std::string, std::int64_t> labels;  // four-class records by label
  std::vector<std::string> bad_messages;       // the first few
  std::string sha256;                          // of the files' bytes, repeats, and what decides tokens
};

class Dataset {
 public:
  Dataset(const DatasetOptions& options, const Tokenizer& tokenizer, const ChatTemplate& chat_template);

  std::int64_t size() const { return summary_.samples; }
  SampleView sample(std::int64_t index) const;
  std::string describe(std::int64_t index) const;  // "file:line"
  const DatasetSummary& summary() const { return summary_; }

 private:
  struct Part {
    std::string path;
    std::int64_t repeats = 1;
    std::int64_t end = 0;  // samples of this part and those before it, with repeats
    TokenCache cache;
  };
  const Part& part_of(std::int64_t& index) const;

  std::vector<Part> parts_;
  DatasetSummary summary_;
};

}  // namespace nkat::data
