#include "export/gguf/modelfile.h"

#include <algorithm>

#include <fmt/format.h>

namespace nkat::exporting {
namespace {

// Go templates: what the Jinja template gives, generation prompt included. Of messages without text the system's alone is
// left out, as by Phi-3.5's template.
constexpr const char* kOneTagAMessage =
    "{{- range .Messages }}{{ if or .Content (ne .Role \"system\") }}<|{{ .Role }}|>\n{{ .Content }}<|end|>\n{{ end "
    "}}{{ end }}<|assistant|>\n";
constexpr const char* kTagAfterUser =
    "<s>{{- range .Messages }}{{ if eq .Role \"user\" }}<|user|>\n{{ .Content }}<|end|>\n<|assistant|>\n"
    "{{ else if eq .Role \"assistant\" }}{{ .Content }}<|end|>\n{{ end }}{{ end }}";
constexpr const char* kNoTemplate =
    "# This model's chat template has no Go form here. Ollama takes one of its own where it knows the template in the "
    "GGUF\n"
    "# file; compare what it sends, or add a line TEMPLATE yourself.\n";
constexpr const char* kStops[] = {"<|end|>", "<|endoftext|>", "<|assistant|>"};

}  // namespace

std::int64_t served_context(const models::ModelConfig& config) {
  constexpr std::int64_t kEnough = 4096;
  return std::min(kEnough, config.original_max_position_embeddings);
}

std::string modelfile(const std::string& gguf_name, const data::ChatTemplate& chat_template, std::int64_t context,
                      const std::vector<std::string>& ends) {
  std::string text = fmt::format("FROM ./{}\n", gguf_name);
  if (const data::KnownTemplate* known = chat_template.known()) {
    text += fmt::format("TEMPLATE \"\"\"{}\"\"\"\n", known->role_token_follows_user ? kTagAfterUser : kOneTagAMessage);
    for (const char* stop : kStops) text += fmt::format("PARAMETER stop \"{}\"\n", stop);
  } else {
    text += kNoTemplate;
    for (const std::string& stop : ends) text += fmt::format("PARAMETER stop \"{}\"\n", stop);
  }
  return text + fmt::format("PARAMETER num_ctx {}\n", context);
}

}  // namespace nkat::exporting
