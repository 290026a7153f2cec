// `nkat export`: a trained adapter merged into its base, as a GGUF file or a Hugging Face folder.
#pragma once

#include "core/cli/command.h"

namespace nkat::exporting {

Command make_export_command();

}  // namespace nkat::exporting
