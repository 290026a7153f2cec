// The chat templates of Phi-3 models, rendered without running a template's source; recognized by comparing it.
//
//   Phi-3.5  for each message `<|role|>` NL content `<|end|>` NL (an empty system message is left out); at the end
//            `<|assistant|>` NL to ask for an answer, otherwise the end token
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "data/text/conversation.h"
#include "data/text/templates/rendered_conversation.h"

namespace nkat::data {

struct KnownTemplate {
  const char* name = "";
  const char* source = "";  // Jinja, as the models ship it
  bool begin_token = false;
  bool system_messages = false;
  bool empty_system_messages = false;
  bool role_token_follows_user =
      false;  // the assistant's role token ends each user message instead of opening the answer
  bool end_token = false;
};

// That of a folder without a template: Phi-3.5's.
const KnownTemplate& default_template();
// Null for any other source.
const KnownTemplate* recognize_template(std::string_view source);

RenderedConversation render(const KnownTemplate& known, std::span<const Turn> turns, bool generation_prompt,
                            const std::string& begin_token, const std::string& end_token);

// Jinja source in one spelling: \n escapes as newlines, double quotes as single ones, and without the white space that
// never reaches the output. Sources that differ in that only compare equal.
std::string canonical_template(std::string_view source);

}  // namespace nkat::data
