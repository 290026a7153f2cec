// The samples of a run: data files read once, checked whole, tokenized, and kept in memory-mapped token caches
// (token_cache.h). Memory: 16 bytes per record while a cache is written, nothing that grows afterwards.
//
// Throws DataError "file:line: ..." for the first bad record above max_bad_records, and for a file that leaves no
// target; ConfigError for a malformed FILE:N.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/datasets/dataset_options.h"
#include "data/datasets/record_counts.h"
#include "data/datasets/sample_encoder.h"
#include "data/datasets/token_cache.h"
#include "data/text/chat_template.h"
#include "data/text/tokenizer.h"

namespace nkat::data {

struct SampleView {
  std::span<const std::uint32_t> tokens;  // with label mask (sample_encoder.h)
  std::int64_t length() const { return static_cast<std::int64_t>(tokens.size()); }
  std::int32_t token(std::int64_t i) const {
    return static_cast<std::int32_t>(tokens[static_cast<std::size_t>(i)] & ~kTargetBit);
  }
  bool is_target(std::int64_t i) const { return (tokens[static_cast<std::size_t>(i)] & kTargetBit) != 0; }
  std::int64_t target_count() const { return count_targets(tokens); }
};

class Dataset {
 public:
  Dataset(const DatasetOptions& options, const Tokenizer& tokenizer, const ChatTemplate& chat_template);

  std::int64_t size() const { return summary_.samples; }
  SampleView sample(std::int64_t index) const;
  std::string describe(std::int64_t index) const;  // "file:line", or "file: record 3" of a list or CSV
  const DatasetSummary& summary() const { return summary_; }

 private:
  struct Part {
    std::string path;
    std::int64_t repeats = 1;
    std::int64_t end = 0;         // samples of this part and those before it, with repeats
    bool counts_records = false;  // record_counts.h
    TokenCache cache;
  };
  const Part& part_of(std::int64_t& index) const;

  std::vector<Part> parts_;
  DatasetSummary summary_;
};

}  // namespace nkat::data
