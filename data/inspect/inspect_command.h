// `nkat inspect`: prints what a GGUF or safetensors file, a model, adapter or checkpoint folder, or a tokenizer.model
// holds, and checks it.
#pragma once

#include "core/cli/command.h"

namespace nkat::data {

Command make_inspect_command();

}  // namespace nkat::data
