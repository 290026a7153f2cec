// A model opened for use, as model_source.h takes it: tokenizer, chat template and the frozen decoder.
#pragma once

#include <memory>
#include <string>

#include "core/files/file.h"
#include "data/text/chat_template.h"
#include "data/text/tokenizer.h"
#include "models/decoder.h"

namespace nkat::models {

struct TextProcessor {
  data::Tokenizer tokenizer;
  data::ChatTemplate chat_template;
};
// FormatError for a tokenizer with more ids than the model has embeddings.
TextProcessor load_tokenizer_and_template(const fs::path& model, const ModelConfig& config);

// Adds to end_tokens those with which the template closes an answer: config.json may name another token, and a folder
// without generation_config.json has no more.
void end_answers_with_turns(ModelConfig& config, const data::ChatTemplate& chat_template,
                            const data::Tokenizer& tokenizer);

// Reads the weights and logs how long that took.
Decoder open_decoder(const fs::path& model, const ModelConfig& config, const WeightsOptions& options);

}  // namespace nkat::models
