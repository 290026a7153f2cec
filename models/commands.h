// The command of this module: `nkat generate` answers a prompt or chats, streaming whole characters.
#pragma once

#include "core/cli/command.h"

namespace nkat::models {

Command make_generate_command();

}  // namespace nkat::models
