// Conversations rendered as a model was trained on them, and which tokens of that are targets.
//
// The three templates of Phi-3 models are built in (templates/known_template.h); any other is run by a Jinja engine within limits
// (templates/template_program.h). Both say which bytes came from which turn, and everything else follows from that:
//
//   literal ranges  a content's bytes, in which added tokens are text
//   targets         of an assistant's turn that is one: its content's bytes, what stands between two of its parts, and
//                   what follows up to and including the first added token; where none follows before another turn's
//                   text, the white space behind it. A token that holds a byte of that is a target, but for an added
//                   token that begins before it: a role token that swallowed the content's leading white space
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/files/file.h"
#include "data/text/conversation.h"
#include "data/text/templates/known_template.h"
#include "data/text/templates/rendered_conversation.h"
#include "data/text/templates/template_program.h"
#include "data/text/tokenizer.h"

namespace nkat::data {

// The text up to the end of an answer, without the turns behind it and with them.
struct ChangedText {
  std::string alone;
  std::string followed;
};

class ChatTemplate {
 public:
  // From chat_template.jinja, else tokenizer_config.json; a folder without either gets Phi-3.5's, and the log says so.
  static ChatTemplate from_model_folder(const fs::path& model_folder);
  ChatTemplate(const std::string& source, SpecialTokens tokens);

  // The errors of rendering are a DataError "the chat template ...": what it raises, where it fails, which limit it
  // exceeds. A source that can't be parsed is one of them.
  RenderedConversation render_parts(const std::vector<Turn>& turns, bool generation_prompt) const;
  std::string render(const std::vector<Turn>& turns, bool generation_prompt) const;

  struct Encoded {
    std::vector<std::int32_t> tokens;
    std::vector<bool> is_target;  // one per token
  };
  Encoded encode(const Tokenizer& tokenizer, const std::vector<Turn>& turns, AddedTokens in_content,
                 bool generation_prompt) const;
  static Encoded encode(const Tokenizer& tokenizer, const RenderedConversation& rendered,
                        const std::vector<Turn>& turns, AddedTokens in_content);

  // The added tokens that close an assistant's turn, in the middle of a conversation and at its end: an answer ends there
  // whatever generation_config.json says. Sorted; none where the template closes it with other text, or can't be run.
  std::vector<std::int32_t> end_of_turn_tokens(const Tokenizer& tokenizer) const;

  // Both texts where the turns behind the first answer change what stands up to its end, as templates do that drop the
  // thoughts of earlier answers.
  std::optional<ChangedText> changed_by_later_turns(const RenderedConversation& rendered,
                                                    const std::vector<Turn>& turns) const;

  std::string name() const;      // "Phi-3.5"; of any other template "own, sha256 " and the first digits
  std::string identity() const;  // what decides the rendering: the source, or the built-in's name, and the tokens
  const KnownTemplate* known() const { return known_; }  // null: not built in

 private:
  const KnownTemplate* known_ = nullptr;
  std::string source_;
  SpecialTokens tokens_;
  std::shared_ptr<TemplateProcess> process_;
};

// The bytes of the text to be learned, sorted and disjoint. Spans are those of the text's tokens.
std::vector<ByteRange> target_ranges(const RenderedConversation& rendered, const std::vector<Turn>& turns,
                                     const std::vector<TokenSpan>& spans);

// What the rendering lacks of the turns, by name, each once: "system turn", "thought of an assistant turn" (what stands
// before </think> in its content). White space doesn't count.
std::vector<std::string> left_out(const RenderedConversation& rendered, const std::vector<Turn>& turns);

// A model folder's chat template as text, for writers that embed it in a file: chat_template.jinja, else
// tokenizer_config.json's, else Phi-3.5's. Not checked.
std::string chat_template_source(const fs::path& model_folder);

}  // namespace nkat::data
