// `nkat validate`: what a run's checkpoints and metrics say about its gates, rotations, gain and steadiness.
#pragma once

#include "core/cli/command.h"

namespace nkat::validation {

Command make_validate_command();

}  // namespace nkat::validation
