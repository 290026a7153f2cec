// A chat template parsed and run by llama.cpp's Jinja engine, as transformers runs it: with `messages`,
// `add_generation_prompt`, the special tokens of tokenizer_config.json, `raise_exception`, `strftime_now`, and `tools` and
// `documents` that are none.
//
// https://huggingface.co/docs/transformers/chat_templating
//
// A template is a stranger's program and the engine has no limits: TemplateProcess runs it in a child process that gets
// 512 MiB of memory and 10 s for a conversation, which may become 16 MiB of text.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>

#include "data/text/conversation.h"
#include "data/text/templates/rendered_conversation.h"

namespace nkat::data {

// The variables of a template that stand for tokens: {"bos_token", "<s>"}.
using SpecialTokens = std::map<std::string, std::string>;

// In this process and without limits.
class TemplateProgram {
 public:
  // FormatError for a source that can't be parsed.
  TemplateProgram(const std::string& source, SpecialTokens tokens);
  TemplateProgram(TemplateProgram&&) noexcept;
  ~TemplateProgram();

  // Each byte of the text knows its turn: turns are numbered from 1, and each rendering of several marks the contents of
  // those whose number has one more bit set. DataError with what the template raises, or with the place where it fails.
  RenderedConversation render(std::span<const Turn> turns, bool generation_prompt) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The same within the limits; parsing too. What goes wrong is a DataError "the chat template ...".
class TemplateProcess {
 public:
  TemplateProcess(std::string source, SpecialTokens tokens);
  ~TemplateProcess();
  RenderedConversation render(std::span<const Turn> turns, bool generation_prompt) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace nkat::data
