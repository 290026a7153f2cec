// `nkat eval`: token loss and perplexity of a model on a data file, with and without an adapter.
#pragma once

#include "core/cli/command.h"

namespace nkat::validation {

Command make_eval_command();

}  // namespace nkat::validation
