// A model folder's chat template as text, for those who hand it on (a GGUF file carries it).
#pragma once

#include <string>

#include "core/files/file.h"

namespace nkat::data {

// chat_template.jinja, else tokenizer_config.json's; Phi-3.5's own where the folder has neither. Not checked: that is
// ChatTemplate::from_model_folder's.
std::string chat_template_source(const fs::path& model_folder);

}  // namespace nkat::data
