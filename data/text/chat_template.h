// Turns rendered as Phi-3 models were trained on them, and which tokens of that are targets.
//
//   Phi-3.5  for each turn `<|role|>` NL content `<|end|>` NL (an empty system turn is left out); at the end
//            `<|assistant|>` NL to ask for an answer, otherwise the end token
//
// A model's own template is recognized by comparing its text with the forms built in; it is never executed, and another
// one is refused (FormatError) with the names of those known.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/files/file.h"
#include "data/text/tokenizer.h"

namespace nkat::data {

enum class Role { kSystem, kUser, kAssistant };
const char* role_name(Role role);  // "system", "user", "assistant"

struct Turn {
  Role role = Role::kUser;
  std::string content;
};

class ChatTemplate {
 public:
  // From chat_template.jinja, else tokenizer_config.json; a folder without either gets Phi-3.5's, and the log says so.
  static ChatTemplate from_model_folder(const fs::path& model_folder);

  struct Encoded {
    std::vector<std::int32_t> tokens;
    std::vector<bool> is_target;  // one a token
  };
  // Targets: the tokens of each assistant turn's content and its closing <|end|>.
  Encoded encode(const Tokenizer& tokenizer, const std::vector<Turn>& turns, AddedTokens in_content,
                 bool generation_prompt) const;
  std::string render(const std::vector<Turn>& turns, bool generation_prompt) const;

  std::string name() const;      // "Phi-3.5"
  std::string identity() const;  // the name and the tokens that the model's config puts in
  struct Form;

 private:
  struct Rendered;
  ChatTemplate(const Form& form, std::string begin_token, std::string end_token);
  Rendered render_parts(const std::vector<Turn>& turns, bool generation_prompt) const;

  const Form* form_;
  std::string begin_token_;
  std::string end_token_;
};

// Jinja source in one spelling: \n escapes as newlines, double quotes as single ones, and without the white space that
// never reaches the output. Sources that differ in that only compare equal.
std::string canonical_template(std::string_view source);

// Is this the beginning of a conversation that is already rendered: a role tag, after <s> or not?
bool is_rendered_conversation(std::string_view text);
// Its turns. White space after a role tag is dropped, as is a generation prompt at the end. Text outside turns
// is a FormatError.
std::vector<Turn> parse_rendered_conversation(std::string_view text);

}  // namespace nkat::data
