// How data files become samples: the same choices for training, evaluation and `nkat data check`, declared once.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/cli/options.h"
#include "data/text/tokenizer.h"

namespace nkat::data {

enum class Overlong { kCut, kDrop, kError };  // what is done with a sample above the limit
inline constexpr EnumNames<Overlong, 3> kOverlongNames = {
    {{Overlong::kCut, "cut"}, {Overlong::kDrop, "drop"}, {Overlong::kError, "error"}}};

struct DatasetOptions {
  std::vector<std::string> files = {};      // FILE or FILE:N, which stands for N times FILE
  std::int64_t max_sequence_length = 1024;  // tokens
  Overlong overlong = Overlong::kCut;
  AddedTokens special_tokens = AddedTokens::kText;
  std::int64_t max_bad_records = 0;  // of all files together; each is left out and counted
  std::int64_t vocabulary_size = 0;  // of the model: ids from here on are refused
};

// All but the files, whose option each command names itself, and the vocabulary, which the model gives.
void declare_dataset_options(OptionList& options, DatasetOptions& config);

}  // namespace nkat::data
