#include "data/text/chat_template.h"

#include <algorithm>
#include <array>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/cli/log.h"
#include "core/error.h"
#include "core/json.h"

namespace nkat::data {

struct ChatTemplate::KnownTemplate {
  const char* name = "";
  const char* source = "";
  bool begin_token = false;
  bool system_messages = false;
  bool empty_system_messages = false;
  bool role_token_follows_user = false;
  bool end_token = false;
};

struct ChatTemplate::Rendered {
  std::string text;
  std::vector<ByteRange> contents;
  std::vector<ByteRange> targets;  // each assistant content with its <|end|>
};

namespace {

constexpr std::uint64_t kFileLimit = 16 << 20;
constexpr std::string_view kEnd = "<|end|>";

// Jinja, as the models ship it.
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
    ChatTemplate::KnownTemplate{.name = "Phi-3.5", .source = kPhi35Source, .system_messages = true, .end_token = true},
    ChatTemplate::KnownTemplate{.name = "Phi-3 (July 2024)",
                                .source = kPhi3JulySource,
                                .system_messages = true,
                                .empty_system_messages = true,
                                .end_token = true},
    ChatTemplate::KnownTemplate{.name = "Phi-3 (April 2024)",
                                .source = kPhi3AprilSource,
                                .begin_token = true,
                                .role_token_follows_user = true}};

std::string read_token(const nlohmann::json& config, const char* key, const char* fallback) {
  if (!config.is_object() || !config.contains(key)) return fallback;
  const nlohmann::json& token = config[key];
  if (token.is_string()) return token.get<std::string>();
  if (token.is_object() && token.contains("content") && token["content"].is_string())
    return token["content"].get<std::string>();
  return fallback;
}

// The template in tokenizer_config.json: a string, or a list of named ones, of which "default" counts.
std::optional<std::string> template_of_config(const nlohmann::json& config) {
  if (!config.is_object() || !config.contains("chat_template")) return std::nullopt;
  const nlohmann::json& value = config["chat_template"];
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array()) return std::nullopt;
  for (const nlohmann::json& one : value) {
    if (one.is_object() && one.value("name", nlohmann::json()) == "default" && one.contains("template") &&
        one["template"].is_string()) {
      return one["template"].get<std::string>();
    }
  }
  return std::nullopt;
}

const ChatTemplate::KnownTemplate& recognize(const std::string& source, const fs::path& model_folder) {
  const std::string canonical = canonical_template(source);
  std::string names;
  for (const ChatTemplate::KnownTemplate& known : kKnownTemplates) {
    if (canonical_template(known.source) == canonical) return known;
    names += fmt::format("{}{}", names.empty() ? "" : ", ", known.name);
  }
  throw FormatError(
      fmt::format("{}: its chat template is unknown; templates are compared, never executed, and these are known: {}. "
                  "If the model was trained with one of them, put its text into chat_template.jinja",
                  model_folder.string(), names));
}

// How many spaces and tabs lie between the beginning of its line and this place; 0 if anything else does.
std::size_t line_indent(std::string_view text, std::size_t place) {
  std::size_t begin = place;
  while (begin > 0 && (text[begin - 1] == ' ' || text[begin - 1] == '\t')) --begin;
  return begin == 0 || text[begin - 1] == '\n' ? place - begin : 0;
}

// What of tokenizer_config.json decides the template; null where the folder has none.
nlohmann::json tokenizer_config(const fs::path& model_folder) {
  const fs::path path = model_folder / "tokenizer_config.json";
  if (!fs::exists(path)) return nullptr;
  return parse_large_json(read_file(path, kFileLimit), path.string(), {"chat_template", "bos_token", "eos_token"});
}

// The folder's own template: chat_template.jinja, else that of the config.
std::optional<std::string> own_template(const fs::path& model_folder, const nlohmann::json& config) {
  const fs::path path = model_folder / "chat_template.jinja";
  return fs::exists(path) ? read_file(path, kFileLimit) : template_of_config(config);
}

}  // namespace

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

ChatTemplate::ChatTemplate(const KnownTemplate& known, std::string begin_token, std::string end_token)
    : known_(&known), begin_token_(std::move(begin_token)), end_token_(std::move(end_token)) {}

ChatTemplate ChatTemplate::from_model_folder(const fs::path& model_folder) {
  const nlohmann::json config = tokenizer_config(model_folder);
  const std::optional<std::string> source = own_template(model_folder, config);
  if (!source)
    log::info(fmt::format("{}: it has no chat template; {}'s is used", model_folder.string(), kKnownTemplates[0].name));
  const KnownTemplate& known = source ? recognize(*source, model_folder) : kKnownTemplates[0];
  return ChatTemplate(known, read_token(config, "bos_token", "<s>"), read_token(config, "eos_token", "<|endoftext|>"));
}

std::string chat_template_source(const fs::path& model_folder) {
  return own_template(model_folder, tokenizer_config(model_folder)).value_or(kKnownTemplates[0].source);
}

std::string ChatTemplate::name() const { return known_->name; }

bool ChatTemplate::role_token_follows_user() const { return known_->role_token_follows_user; }

std::string ChatTemplate::identity() const { return fmt::format("{} {} {}", known_->name, begin_token_, end_token_); }

ChatTemplate::Rendered ChatTemplate::render_parts(const std::vector<Turn>& turns, bool generation_prompt) const {
  Rendered rendered;
  std::string& text = rendered.text;
  if (known_->begin_token) text += begin_token_;
  for (const Turn& turn : turns) {
    if (turn.role == Role::kSystem &&
        (!known_->system_messages || (turn.content.empty() && !known_->empty_system_messages)))
      continue;
    if (turn.role != Role::kAssistant || !known_->role_token_follows_user)
      text += fmt::format("<|{}|>\n", role_name(turn.role));
    const ByteRange content{text.size(), text.size() + turn.content.size()};
    text += turn.content;
    text += kEnd;
    rendered.contents.push_back(content);
    if (turn.role == Role::kAssistant && turn.is_target) rendered.targets.push_back({content.begin, text.size()});
    text += '\n';
    if (turn.role == Role::kUser && known_->role_token_follows_user) text += "<|assistant|>\n";
  }
  if (generation_prompt && !known_->role_token_follows_user) text += "<|assistant|>\n";
  if (!generation_prompt && known_->end_token) text += end_token_;
  return rendered;
}

std::string ChatTemplate::render(const std::vector<Turn>& turns, bool generation_prompt) const {
  return render_parts(turns, generation_prompt).text;
}

ChatTemplate::Encoded ChatTemplate::encode(const Tokenizer& tokenizer, const std::vector<Turn>& turns,
                                           AddedTokens in_content, bool generation_prompt) const {
  const Rendered rendered = render_parts(turns, generation_prompt);
  const bool literal = in_content == AddedTokens::kText;
  const std::span<const ByteRange> literals = literal ? std::span(rendered.contents) : std::span<const ByteRange>();
  Encoded encoded;
  auto target = rendered.targets.begin();
  for (const TokenSpan& span : tokenizer.encode_spans(rendered.text, literals)) {
    while (target != rendered.targets.end() && target->end <= span.bytes.begin) ++target;
    // A role token that swallowed the content's leading white space reaches into it, but begins before it.
    const bool reaches = target != rendered.targets.end() && span.bytes.end > target->begin;
    encoded.tokens.push_back(span.id);
    encoded.is_target.push_back(reaches && (!span.added || span.bytes.begin >= target->begin));
  }
  return encoded;
}

}  // namespace nkat::data
