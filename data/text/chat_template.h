// Conversations rendered as Phi-3 models were trained on them, and which tokens of that are targets.
//
//   Phi-3.5  for each message `<|role|>` NL content `<|end|>` NL (an empty system message is left out); at the end
//            `<|assistant|>` NL to ask for an answer, otherwise the end token
//
// A model's own template is recognized by comparing its text with the known ones; it is never executed, and another one
// is refused (FormatError) with the names of those known.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/files/file.h"
#include "data/text/conversation.h"
#include "data/text/tokenizer.h"

namespace nkat::data {

class ChatTemplate {
 public:
  // From chat_template.jinja, else tokenizer_config.json; a folder without either gets Phi-3.5's, and the log says so.
  static ChatTemplate from_model_folder(const fs::path& model_folder);

  struct Encoded {
    std::vector<std::int32_t> tokens;
    std::vector<bool> is_target;  // one per token
  };
  // Targets: the tokens of each assistant message's content and its closing <|end|>.
  Encoded encode(const Tokenizer& tokenizer, const std::vector<Turn>& turns, AddedTokens in_content,
                 bool generation_prompt) const;
  std::string render(const std::vector<Turn>& turns, bool generation_prompt) const;

  std::string name() const;      // "Phi-3.5"
  std::string identity() const;  // the name and the tokens that the model's config puts in
  // The assistant's role token ends each user message instead of opening the answer.
  bool role_token_follows_user() const;
  struct KnownTemplate;

 private:
  struct Rendered;
  ChatTemplate(const KnownTemplate& known, std::string begin_token, std::string end_token);
  Rendered render_parts(const std::vector<Turn>& turns, bool generation_prompt) const;

  const KnownTemplate* known_;
  std::string begin_token_;
  std::string end_token_;
};

// Jinja source in one spelling: \n escapes as newlines, double quotes as single ones, and without the white space that
// never reaches the output. Sources that differ in that only compare equal.
std::string canonical_template(std::string_view source);

// A model folder's chat template as text, for writers that embed it in a file: chat_template.jinja, else
// tokenizer_config.json's, else Phi-3.5's. Not checked: from_model_folder() does that.
std::string chat_template_source(const fs::path& model_folder);

}  // namespace nkat::data
