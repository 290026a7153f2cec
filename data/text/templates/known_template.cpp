#include "data/text/templates/known_template.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace nkat::data {
namespace {

constexpr std::string_view kEnd = "<|end|>";

constexpr const char* kPhi35Source =
    "{% for message in messages %}{% if message['role'] == 'system' and message['content'] %}{{'<|system|>\n' + "
    "message['content'] + '<|end|>\n'}}{% elif message['role'] == 'user' %}{{'<|user|>\n' + message['content'] + "
    "'<|end|>\n'}}{% elif message['role'] == 'assistant' %}{{'<|assistant|>\n' + message['content'] + "
    "'<|end|>\n'}}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ "
    "eos_token "
    "}}{% endif %}";
constexpr const char* kPhi3JulySource =
    "{% for message in messages %}{% if message['role'] == 'system' %}{{'<|system|>\n' + message['content'] + "
    "'<|end|>\n'}}{% elif message['role'] == 'user' %}{{'<|user|>\n' + message['content'] + '<|end|>\n'}}{% elif "
    "message['role'] == 'assistant' %}{{'<|assistant|>\n' + message['content'] + '<|end|>\n'}}{% endif %}{% endfor "
    "%}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}";
constexpr const char* kPhi3AprilSource =
    "{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') %}{{'<|user|>' + '\n' + "
    "message['content'] + '<|end|>' + '\n' + '<|assistant|>' + '\n'}}{% elif (message['role'] == 'assistant') "
    "%}{{message['content'] + '<|end|>' + '\n'}}{% endif %}{% endfor %}";

constexpr std::array kKnownTemplates = {
    KnownTemplate{.name = "Phi-3.5", .source = kPhi35Source, .system_messages = true, .end_token = true},
    KnownTemplate{.name = "Phi-3 (July 2024)",
                  .source = kPhi3JulySource,
                  .system_messages = true,
                  .empty_system_messages = true,
                  .end_token = true},
    KnownTemplate{.name = "Phi-3 (April 2024)",
                  .source = kPhi3AprilSource,
                  .begin_token = true,
                  .role_token_follows_user = true}};

// How many spaces and tabs lie between the beginning of its line and this place; 0 if anything else does.
std::size_t line_indent(std::string_view text, std::size_t place) {
  std::size_t begin = place;
  while (begin > 0 && (text[begin - 1] == ' ' || text[begin - 1] == '\t')) --begin;
  return begin == 0 || text[begin - 1] == '\n' ? place - begin : 0;
}

}  // namespace

const KnownTemplate& default_template() { return kKnownTemplates[0]; }

const KnownTemplate* recognize_template(std::string_view source) {
  const std::string canonical = canonical_template(source);
  const auto* found = std::ranges::find_if(
      kKnownTemplates, [&](const KnownTemplate& known) { return canonical_template(known.source) == canonical; });
  return found == kKnownTemplates.end() ? nullptr : found;
}

RenderedConversation render(const KnownTemplate& known, std::span<const Turn> turns, bool generation_prompt,
                            const std::string& begin_token, const std::string& end_token) {
  RenderedConversation rendered;
  std::string& text = rendered.text;
  if (known.begin_token) text += begin_token;
  for (std::size_t i = 0; i < turns.size(); ++i) {
    const Turn& turn = turns[i];
    if (turn.role == Role::kSystem &&
        (!known.system_messages || (turn.content.empty() && !known.empty_system_messages)))
      continue;
    if (turn.role != Role::kAssistant || !known.role_token_follows_user)
      text += fmt::format("<|{}|>\n", role_name(turn.role));
    rendered.parts.push_back({{text.size(), text.size() + turn.content.size()}, i});
    text += turn.content;
    text += kEnd;
    text += '\n';
    if (turn.role == Role::kUser && known.role_token_follows_user) text += "<|assistant|>\n";
  }
  if (generation_prompt && !known.role_token_follows_user) text += "<|assistant|>\n";
  if (!generation_prompt && known.end_token) text += end_token;
  return rendered;
}

std::string canonical_template(std::string_view source) {
  std::string text;
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') continue;
    const bool escape = source.substr(i).starts_with("\\n");
    text.push_back(escape ? '\n' : source[i] == '"' ? '\'' : source[i]);
    i += escape ? 1 : 0;
  }
  std::string canonical;
  bool in_tag = false;
  bool in_quotes = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::string_view rest = std::string_view(text).substr(i);
    if (!in_tag && (rest.starts_with("{%") || rest.starts_with("{{"))) {
      in_tag = true;
      // As rendered with lstrip_blocks: a block's indentation belongs to it.
      if (rest[1] == '%') canonical.resize(canonical.size() - line_indent(text, i));
    }
    if (in_tag && text[i] == '\'') in_quotes = !in_quotes;
    const bool white = text[i] == ' ' || text[i] == '\t' || text[i] == '\n';
    if (!(in_tag && !in_quotes && white)) canonical.push_back(text[i]);
    if (in_tag && !in_quotes && (rest.starts_with("%}") || rest.starts_with("}}"))) {
      in_tag = false;
      canonical.push_back('}');
      ++i;
      // As rendered with trim_blocks: the newline after a block belongs to it.
      if (text[i - 1] == '%' && i + 1 < text.size() && text[i + 1] == '\n') ++i;
    }
  }
  while (!canonical.empty() && canonical.back() == '\n') canonical.pop_back();
  return canonical;
}

}  // namespace nkat::data
