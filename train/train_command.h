// `nkat train`: trains an adapter, or goes on with the run in the output folder.
#pragma once

#include "core/cli/command.h"

namespace nkat::train {

Command make_train_command();

}  // namespace nkat::train
