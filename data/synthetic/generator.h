// A set of generated records: the chosen tasks, languages and labels in equal shares, one split, no request twice.
// Record i's task, language and label follow from i alone, so every beginning of a set is balanced as well, and a set
// of 100 records is the beginning of the set of 200.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "data/synthetic/generated_record.h"

namespace nkat::data {

enum class GeneratedTask { kDecision, kMath, kGeneral, kSmallTalk };

struct GeneratorOptions {
  std::vector<GeneratedTask> tasks = {GeneratedTask::kDecision};
  std::vector<Language> languages = {Language::kEnglish};
  std::int64_t count = 0;
  std::uint64_t seed = 0;
  Split split = Split::kTrain;
  int max_draws = 2000;  // draws in a row without a new request after which nearly all are taken to be used
};

// Calls `take` with each record in order. Throws ConfigError if the generator runs out of new requests before `count`.
void generate_records(const GeneratorOptions& options, const std::function<void(const GeneratedRecord&)>& take);

}  // namespace nkat::data
