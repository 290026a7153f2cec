// The commands of this module: `nkat data` with its subcommands, and `nkat inspect`.
#pragma once

#include "core/cli/command.h"

namespace nkat::data {

// Collects the subcommands below.
Command make_data_command();
Command make_data_check_command();
Command make_data_make_command();
Command make_data_samples_command();
Command make_data_tokenize_command();

// Prints what a GGUF or safetensors file, a model, adapter or checkpoint folder, or a tokenizer.model holds, and checks
// it.
Command make_inspect_command();

}  // namespace nkat::data
