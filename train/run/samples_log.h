// samples.jsonl: what the adapter in training answers to --sample-prompts, one line an answer:
//
//   {"step": 100, "prompt": "What is 2 + 3?", "answer": "It is 5."}
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/files/atomic_file.h"

namespace nkat::train {

struct SampleAnswer {
  std::string prompt;
  std::string answer;
};

class SamplesLog {
 public:
  // Opens the file for a run that is at `last_step`: keeps the answers up to it and cuts what follows, also a line that a
  // kill has cut. DataError "<path>:line" for a file that no run has written, which is left as it is.
  SamplesLog(const fs::path& path, std::int64_t last_step);
  // All answers of a step, in one write(2).
  void append(std::int64_t step, const std::vector<SampleAnswer>& answers);
  void sync() { file_.sync(); }

 private:
  AppendFile file_;
};

}  // namespace nkat::train
