// The Modelfile with which Ollama serves an exported GGUF file: template, stops, context length.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/text/chat_template.h"
#include "models/config.h"

namespace nkat::exporting {

// The context to serve a file of this model with: at most 4096 tokens and never beyond the original length, so that
// llama.cpp takes the short rope factors.
std::int64_t served_context(const models::ModelConfig& config);

// ends: the texts of the tokens that close an answer, which are the stops of a template that isn't built in. Such a one
// has no Go form here: the file says so, and Ollama uses a template of its own where it knows the file's.
std::string modelfile(const std::string& gguf_name, const data::ChatTemplate& chat_template, std::int64_t context,
                      const std::vector<std::string>& ends = {});

}  // namespace nkat::exporting
