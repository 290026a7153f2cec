// The Modelfile with which Ollama serves an exported GGUF file: template, stops, context length.
#pragma once

#include <cstdint>
#include <string>

namespace nkat::exporting {

// form: data::ChatTemplate::name(). begin_token: rendered first by the form of April 2024 alone.
std::string modelfile(const std::string& gguf_name, const std::string& form, std::int64_t context);

}  // namespace nkat::exporting
