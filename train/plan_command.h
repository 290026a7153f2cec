// `nkat plan`: memory and time of a run from config.json alone, before any weight is read.
#pragma once

#include "core/cli/command.h"

namespace nkat::train {

Command make_plan_command();

}  // namespace nkat::train
