// What a data file holds and what training makes of it, for `nkat data check` and for a run's log. The check reads the file once; needs memory
// for a hash and a length per record.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <unordered_set>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "data/datasets/dataset.h"
#include "data/datasets/record_counts.h"
#include "data/datasets/sample_encoder.h"

namespace nkat::data {

struct DataCheck : RecordCounts {
  std::string path;
  std::int64_t duplicates = 0;                     // records whose turns or text were already seen, in any file
  std::map<int, std::int64_t> length_percentiles;  // tokens before truncation, of 50, 90, 99 and 100 %
  std::string sample_place;                        // "file:line" of the sample shown; empty if there is none
  std::string sample_text;                         // decoded, each run of targets between kTargetBegin and kTargetEnd
};

inline constexpr const char* kTargetBegin = "\u27E6";  // ⟦
inline constexpr const char* kTargetEnd = "\u27E7";    // ⟧

class DataChecker {
 public:
  DataChecker(const Tokenizer& tokenizer, const SampleEncoder& encoder) : tokenizer_(tokenizer), encoder_(encoder) {}
  DataCheck check(const std::string& path);

 private:
  const Tokenizer& tokenizer_;
  const SampleEncoder& encoder_;
  std::unordered_set<std::uint64_t> seen_;
};

// The tokens as text, targets bracketed.
std::string show_targets(const Tokenizer& tokenizer, std::span<const std::uint32_t> tokens);

// What a run is going to train on or to measure, in its log: what the files hold, the template, and, if asked for, the
// first sample with its targets bracketed, cut at 40 lines.
struct DatasetUse {
  const char* name = "training data";
  std::string template_name;
  bool with_sample = true;
};
void log_dataset(const Dataset& dataset, const Tokenizer& tokenizer, const DatasetUse& use);

nlohmann::ordered_json to_json(const DataCheck& check);
std::string to_text(const DataCheck& check);

}  // namespace nkat::data
