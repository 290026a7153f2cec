#include "models/model_folder.h"

#include <set>

#include "core/error.h"
#include "data/text/model_text.h"

namespace nkat::models {

TextProcessor load_tokenizer_and_template(const fs::path& model, const ModelConfig& config) {
  TextProcessor text{data::Tokenizer(model), data::open_chat_template(model)};
  if (text.tokenizer.vocabulary_size() > config.vocab_size) {
    throw FormatError(
        fmt::format("{}: the tokenizer has {} ids, vocab_size in config.json is {}; the files do not belong together",
                    model.string(), text.tokenizer.vocabulary_size(), config.vocab_size));
  }
  return text;
}

void end_answers_with_turns(ModelConfig& config, const data::ChatTemplate& chat_template,
                            const data::Tokenizer& tokenizer) {
  std::set<std::int64_t> ends(config.end_tokens.begin(), config.end_tokens.end());
  for (const std::int32_t token : chat_template.end_of_turn_tokens(tokenizer)) {
    if (token < config.vocab_size) ends.insert(token);
  }
  config.end_tokens.assign(ends.begin(), ends.end());
}

Decoder open_decoder(const fs::path& model, const ModelConfig& config, const WeightsOptions& options) {
  return Decoder(config, load_weights(model, config, options));
}

}  // namespace nkat::models
