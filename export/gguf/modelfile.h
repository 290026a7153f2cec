// The Modelfile with which Ollama serves an exported GGUF file: template, stops, context length.
#pragma once

#include <cstdint>
#include <string>

#include "models/config.h"

namespace nkat::exporting {

// How much context to serve a file of this model with: at most 4096 tokens, and never beyond where longrope begins, so
// that llama.cpp takes the short rope factors.
std::int64_t served_context(const models::Phi3Config& config);

// form: data::ChatTemplate::name(). begin_token: rendered first by the form of April 2024 alone.
std::string modelfile(const std::string& gguf_name, const std::string& form, std::int64_t context);

}  // namespace nkat::exporting
