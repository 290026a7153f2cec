// The commands of this module: `nkat train` and `nkat plan`.
#pragma once

#include "core/cli/command.h"

namespace nkat::train {

// Trains an adapter, or goes on with the run in the output folder.
Command make_train_command();
// Memory and time of a run from config.json alone, before any weight is read.
Command make_plan_command();

}  // namespace nkat::train
