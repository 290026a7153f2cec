#include "data/datasets/dataset_options.h"

namespace nkat::data {

void declare_dataset_options(OptionList& options, DatasetOptions& config) {
  options.add("max-sequence-length", config.max_sequence_length,
              {.help = "length limit of a sample", .unit = "tokens", .minimum = 2, .maximum = 131072});
  options.add("overlong", config.overlong, kOverlongNames,
              {.help = "samples above the limit: cut, drop, or stop with an error"});
  options.add("data-special-tokens", config.special_tokens, kAddedTokensNames,
              {.help = "<|end|> and the like inside a message: plain text or control tokens"});
  options.add("max-bad-records", config.max_bad_records,
              {.help = "bad records skipped without an error", .minimum = 0, .maximum = 1e9});
}

}  // namespace nkat::data
