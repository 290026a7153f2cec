#include "models/model_folder.h"

#include "core/error.h"

namespace nkat::models {

TextProcessor load_tokenizer_and_template(const fs::path& model_folder, const ModelConfig& config) {
  TextProcessor text{data::Tokenizer(model_folder), data::ChatTemplate::from_model_folder(model_folder)};
  if (text.tokenizer.vocabulary_size() > config.vocab_size) {
    throw FormatError(
        fmt::format("{}: the tokenizer has {} ids, vocab_size in config.json is {}; the files do not belong together",
                    model_folder.string(), text.tokenizer.vocabulary_size(), config.vocab_size));
  }
  return text;
}

Decoder open_decoder(const fs::path& model_folder, const ModelConfig& config, const WeightsOptions& options) {
  return Decoder(config, load_weights(model_folder, config, options));
}

}  // namespace nkat::models
