#include "data/datasets/dataset_options.h"

namespace nkat::data {

void declare_dataset_options(OptionList& options, DatasetOptions& config) {
  options.add("max-sequence-length", config.max_sequence_length,
              {.help = "tokens of the longest sample", .minimum = 2, .maximum = 131072});
  options.add("overlong", config.overlong,
              {.help = "what to do with a longer sample", .choices = {"cut", "drop", "error"}});
  options.add("data-special-tokens", config.special_tokens,
              {.help = "whether <|end|> and the like inside a message are plain text or control tokens",
               .choices = {"text", "control"}});
  options.add("max-bad-records", config.max_bad_records,
              {.help = "bad records that are left out without an error", .minimum = 0, .maximum = 1e9});
}

}  // namespace nkat::data
