// What a data file holds and what training would make of it, for `nkat data check`. Reads the file once; needs memory
// for a hash and a length a record.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_set>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "data/datasets/sample_encoder.h"

namespace nkat::data {

struct DataCheck {
  std::string path;
  std::int64_t records = 0;  // good and bad ones
  std::int64_t bad_records = 0;
  std::vector<std::string> bad_messages;  // the first ten
  std::map<std::string, std::int64_t> kinds;
  std::map<std::string, std::int64_t> labels;  // four-class records
  std::int64_t rendered = 0;
  std::int64_t duplicates = 0;  // records whose turns or text stood before, in this file or an earlier one
  std::int64_t cut = 0;
  std::int64_t dropped_overlong = 0;
  std::int64_t dropped_without_target = 0;
  std::int64_t samples = 0;
  std::int64_t tokens = 0;         // of the samples as trained
  std::int64_t target_tokens = 0;  // of the samples as trained
  std::int64_t tokens_cut_off = 0;
  std::map<int, std::int64_t> length_percentiles;  // tokens before the limit, of 50, 90, 99 and 100 %
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
  void add_sample(DataCheck& check, std::vector<std::uint32_t>& marked, const std::string& where);

  const Tokenizer& tokenizer_;
  const SampleEncoder& encoder_;
  std::unordered_set<std::uint64_t> seen_;
};

// The tokens as text, targets bracketed.
std::string show_targets(const Tokenizer& tokenizer, const std::vector<std::uint32_t>& marked);

nlohmann::ordered_json to_json(const DataCheck& check);
std::string to_text(const DataCheck& check);

}  // namespace nkat::data
