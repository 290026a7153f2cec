#include "data/commands.h"

namespace nkat::data {

Command make_data_command() {
  return {.name = "data",
          .summary = "checks, makes and tokenizes data files",
          .description =
              "Data files hold one JSON object per line: messages, conversations, prompt and completion, instruction "
              "and output, or text.",
          .subcommands = {make_data_check_command(), make_data_make_command(), make_data_samples_command(),
                          make_data_tokenize_command()}};
}

}  // namespace nkat::data
