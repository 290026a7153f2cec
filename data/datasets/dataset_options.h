// How data files become samples: the same choices for training, evaluation and `nkat data check`, declared once.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/cli/options.h"

namespace nkat::data {

struct DatasetOptions {
  std::vector<std::string> files;           // FILE or FILE:N, which stands for N times FILE
  std::int64_t max_sequence_length = 1024;  // tokens
  std::string overlong = "cut";             // cut, drop, error
  std::string special_tokens = "text";      // text, control
  std::int64_t max_bad_records = 0;         // of all files together; each is left out and counted
  std::int64_t vocabulary_size = 0;         // of the model: ids from here on are refused
};

// All but the files, whose option each command names itself, and the vocabulary, which the model gives.
void declare_dataset_options(OptionList& options, DatasetOptions& config);

}  // namespace nkat::data
