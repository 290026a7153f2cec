#include "models/model_folder.h"

#include "core/error.h"
#include "data/text/model_text.h"

namespace nkat::models {

TextProcessor load_tokenizer_and_template(const fs::path& model, const ModelConfig& config) {
  TextProcessor text{data::open_tokenizer(model), data::open_chat_template(model)};
  if (text.tokenizer.vocabulary_size() > config.vocab_size) {
    throw FormatError(
        fmt::format("{}: the tokenizer has {} ids, vocab_size in config.json is {}; the files do not belong together",
                    model.string(), text.tokenizer.vocabulary_size(), config.vocab_size));
  }
  return text;
}

Decoder open_decoder(const fs::path& model, const ModelConfig& config, const WeightsOptions& options) {
  return Decoder(config, load_weights(model, config, options));
}

}  // namespace nkat::models
