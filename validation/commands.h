// The commands of this module: `nkat validate` and `nkat eval`.
#pragma once

#include "core/cli/command.h"

namespace nkat::validation {

// Says from a run's checkpoints and metrics how its gates, rotations, gain and stability developed.
Command make_validate_command();
// Token loss, perplexity and tasks of a model, with and without an adapter.
Command make_eval_command();

}  // namespace nkat::validation
