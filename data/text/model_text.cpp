#include "data/text/model_text.h"

#include <fmt/format.h>

#include "core/cli/log.h"
#include "data/formats/gguf_reader.h"
#include "data/text/gguf_vocabulary.h"
#include "data/text/templates/known_template.h"

namespace nkat::data {
namespace {

constexpr const char* kTemplateKey = "tokenizer.chat_template";

struct TokenKey {
  const char* name;  // in tokenizer_config.json
  const char* key;
};
constexpr TokenKey kTokenKeys[] = {{"bos_token", "tokenizer.ggml.bos_token_id"},
                                   {"eos_token", "tokenizer.ggml.eos_token_id"},
                                   {"unk_token", "tokenizer.ggml.unknown_token_id"},
                                   {"pad_token", "tokenizer.ggml.padding_token_id"}};

SpecialTokens special_tokens_of(const gguf::GgufMetadata& metadata, const TokenizerModel& model) {
  SpecialTokens tokens;
  for (const auto& [name, key] : kTokenKeys) {
    if (metadata.find(key) == nullptr) continue;
    const std::size_t id = metadata.number<std::uint32_t>(key);
    if (id < model.pieces.size()) tokens[name] = model.pieces[id].text;
  }
  return tokens;
}

GgufText text_of(const gguf::GgufFile& file) {
  GgufText text{.tokenizer = read_gguf_vocabulary(file.metadata(), file.path().string()),
                .special_tokens = {},
                .chat_template = ""};
  text.special_tokens = special_tokens_of(file.metadata(), text.tokenizer);
  if (file.metadata().find(kTemplateKey) != nullptr) text.chat_template = file.metadata().string(kTemplateKey);
  return text;
}

}  // namespace

ChatTemplate open_chat_template(const fs::path& model) {
  if (!gguf::is_gguf_model(model)) return ChatTemplate::from_model_folder(model);
  GgufText text = read_gguf_text(model);
  if (text.chat_template.empty()) {
    log::info(fmt::format("{}: it has no chat template; {}'s is used", model.string(), default_template().name));
    text.chat_template = default_template().source;
  }
  return {text.chat_template, std::move(text.special_tokens)};
}

GgufText read_gguf_text(const fs::path& file) { return text_of(gguf::GgufFile::with_all_parts(file)); }

}  // namespace nkat::data
