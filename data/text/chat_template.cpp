#include "data/text/chat_template.h"

#include <algorithm>
#include <array>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/cli/log.h"
#include "core/error.h"
#include "core/files/other_content.h"
#include "core/files/sha256.h"
#include "core/json.h"
#include "core/message.h"
#include "core/utf8.h"

namespace nkat::data {
namespace {

constexpr std::uint64_t kTemplateFileLimit = 16 << 20;
constexpr const char *kTemplateKey = "chat_template", *kBeginToken = "bos_token", *kEndToken = "eos_token",
                     *kDecoderKey = "added_tokens_decoder";
constexpr std::array kTokens = {kBeginToken, kEndToken,   "unk_token", "pad_token",
                                "sep_token", "cls_token", "mask_token"};
constexpr std::string_view kThoughtBegin = "<think>", kThoughtEnd = "</think>";

// The tokens that transformers hands to a template, where the file has them.
void read_tokens(const nlohmann::json& file, SpecialTokens& tokens) {
  if (!file.is_object()) return;
  for (const char* key : kTokens) {
    const nlohmann::json token = file.value(key, nlohmann::json());
    const nlohmann::json text = token.is_object() ? token.value("content", nlohmann::json()) : token;
    if (text.is_string()) tokens[key] = text.get<std::string>();
  }
}

// The template in tokenizer_config.json: a string, or a list of named ones, of which "default" counts.
std::optional<std::string> template_of_config(const nlohmann::json& config) {
  if (!config.is_object() || !config.contains(kTemplateKey)) return std::nullopt;
  const nlohmann::json& value = config[kTemplateKey];
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

// What a folder says about its template.
struct FolderTemplate {
  std::optional<std::string> source;
  SpecialTokens tokens;
};

FolderTemplate read_folder(const fs::path& model_folder) {
  const fs::path file = model_folder / "chat_template.jinja";
  const fs::path config_file = model_folder / "tokenizer_config.json";
  FolderTemplate found;
  // Beside the file the config's template counts for nothing, and may be anything.
  if (fs::exists(file)) found.source = read_file(file, kTemplateFileLimit);
  if (found.source && is_web_page(*found.source))
    throw FormatError(
        fmt::format("{}: {}", file.string(), expected("a chat template", "a web page", "download it again")));
  nlohmann::json config;
  const std::vector<std::string> tokens(kTokens.begin(), kTokens.end());
  if (fs::exists(config_file)) {
    std::vector<std::string> keys = tokens;
    keys.emplace_back(kDecoderKey);
    if (!found.source) keys.emplace_back(kTemplateKey);
    config = parse_large_json(read_file(config_file, kTemplateFileLimit), config_file.string(), keys);
  }
  if (!found.source) found.source = template_of_config(config);
  read_tokens(config, found.tokens);
  // Folders from before added_tokens_decoder name their tokens there, and transformers still prefers it.
  const fs::path map_file = model_folder / "special_tokens_map.json";
  if (!(config.is_object() && config.contains(kDecoderKey)) && fs::exists(map_file))
    read_tokens(parse_large_json(read_file(map_file, kTemplateFileLimit), map_file.string(), tokens), found.tokens);
  return found;
}

std::string token_or(const SpecialTokens& tokens, const char* name, const char* fallback) {
  const auto found = tokens.find(name);
  return found == tokens.end() ? fallback : found->second;
}

std::string without_white_space(std::string_view text) {
  std::string kept;
  for (std::size_t at = 0; at < text.size();) {
    const DecodedCodePoint point = decode_code_point(text, at);
    if (!is_unicode_white_space(point.value)) kept += text.substr(at, point.length);
    at += point.length;
  }
  return kept;
}

// What a content says before </think>, without the tag that opens it.
std::string_view thought_of(std::string_view content) {
  const std::size_t end = content.find(kThoughtEnd);
  if (end == std::string_view::npos) return {};
  const std::string_view thought = content.substr(0, end);
  const std::size_t begin = thought.find(kThoughtBegin);
  return begin == std::string_view::npos ? thought : thought.substr(begin + kThoughtBegin.size());
}

}  // namespace

ChatTemplate::ChatTemplate(const std::string& source, SpecialTokens tokens)
    : known_(recognize_template(source)), source_(source), tokens_(std::move(tokens)) {
  if (known_ == nullptr) process_ = std::make_shared<TemplateProcess>(source_, tokens_);
}

ChatTemplate ChatTemplate::from_model_folder(const fs::path& model_folder) {
  FolderTemplate found = read_folder(model_folder);
  if (!found.source)
    log::info(fmt::format("{}: it has no chat template; {}'s is used", model_folder.string(), default_template().name));
  return {found.source.value_or(default_template().source), std::move(found.tokens)};
}

std::string chat_template_source(const fs::path& model_folder) {
  return read_folder(model_folder).source.value_or(default_template().source);
}

std::string ChatTemplate::name() const {
  return known_ != nullptr ? known_->name : "own, sha256 " + sha256_hex(source_).substr(0, 8);
}

std::string ChatTemplate::identity() const {
  if (known_ != nullptr)
    return fmt::format("{} {} {}", known_->name, token_or(tokens_, kBeginToken, "<s>"),
                       token_or(tokens_, kEndToken, "<|endoftext|>"));
  std::string text = sha256_hex(source_);
  for (const auto& [key, token] : tokens_) text += fmt::format(" {} {}:{}", key, token.size(), token);
  return text;
}

RenderedConversation ChatTemplate::render_parts(const std::vector<Turn>& turns, bool generation_prompt) const {
  if (known_ == nullptr) return process_->render(turns, generation_prompt);
  return nkat::data::render(*known_, turns, generation_prompt, token_or(tokens_, kBeginToken, "<s>"),
                            token_or(tokens_, kEndToken, "<|endoftext|>"));
}

std::string ChatTemplate::render(const std::vector<Turn>& turns, bool generation_prompt) const {
  return render_parts(turns, generation_prompt).text;
}

ChatTemplate::Encoded ChatTemplate::encode(const Tokenizer& tokenizer, const RenderedConversation& rendered,
                                           const std::vector<Turn>& turns, AddedTokens in_content) {
  std::vector<ByteRange> literals;
  if (in_content == AddedTokens::kText) {
    for (const RenderedPart& part : rendered.parts) literals.push_back(part.bytes);
  }
  const std::vector<TokenSpan> spans = tokenizer.encode_spans(rendered.text, literals);
  const std::vector<ByteRange> targets = target_ranges(rendered, turns, spans);
  Encoded encoded;
  auto target = targets.begin();
  for (const TokenSpan& span : spans) {
    while (target != targets.end() && target->end <= span.bytes.begin) ++target;
    // A token without bytes, as the space that is put in front of a stretch, belongs to what follows it.
    const bool reaches = target != targets.end() && std::max(span.bytes.end, span.bytes.begin + 1) > target->begin;
    encoded.tokens.push_back(span.id);
    encoded.is_target.push_back(reaches && (!span.added || span.bytes.begin >= target->begin));
  }
  return encoded;
}

ChatTemplate::Encoded ChatTemplate::encode(const Tokenizer& tokenizer, const std::vector<Turn>& turns,
                                           AddedTokens in_content, bool generation_prompt) const {
  return encode(tokenizer, render_parts(turns, generation_prompt), turns, in_content);
}

std::vector<std::int32_t> ChatTemplate::end_of_turn_tokens(const Tokenizer& tokenizer) const {
  std::vector<std::int32_t> ends;
  const Turn system{Role::kSystem, "w"}, question{Role::kUser, "x"}, answer{Role::kAssistant, "y"};
  // Some templates take no conversation without a system turn, others none with it.
  for (const std::vector<Turn>& probe : {std::vector{question, answer}, std::vector{question, answer, question},
                                         std::vector{system, question, answer}}) {
    if (!ends.empty() && probe.front().role == Role::kSystem) continue;
    try {
      const RenderedConversation rendered = render_parts(probe, /*generation_prompt=*/false);
      const std::vector<TokenSpan> spans = tokenizer.encode_spans(rendered.text, {});
      const std::vector<ByteRange> targets = target_ranges(rendered, probe, spans);
      for (const TokenSpan& span : spans) {
        if (!targets.empty() && span.added && span.bytes.end == targets.back().end) ends.push_back(span.id);
      }
    } catch (const DataError&) {
      continue;  // a conversation that this template refuses; whoever renders one gets its message
    }
  }
  std::ranges::sort(ends);
  ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
  return ends;
}

std::optional<ChangedText> ChatTemplate::changed_by_later_turns(const RenderedConversation& rendered,
                                                                const std::vector<Turn>& turns) const {
  const auto answer = std::ranges::find(turns, Role::kAssistant, &Turn::role);
  if (known_ != nullptr || turns.end() - answer < 2) return std::nullopt;
  const auto turn = static_cast<std::size_t>(answer - turns.begin());
  const auto up_to_answer = [&](const RenderedConversation& one) {
    std::size_t end = 0;
    for (const RenderedPart& part : one.parts) end = part.turn == turn ? part.bytes.end : end;
    return one.text.substr(0, end);
  };
  try {
    const ChangedText texts{up_to_answer(render_parts({turns.begin(), answer + 1}, /*generation_prompt=*/false)),
                            up_to_answer(rendered)};
    const bool same = texts.followed.empty() || texts.alone == texts.followed;  // an answer left out is said elsewhere
    return same ? std::nullopt : std::optional(texts);
  } catch (const DataError&) {
    return std::nullopt;  // a conversation that may not end there
  }
}

std::vector<ByteRange> target_ranges(const RenderedConversation& rendered, const std::vector<Turn>& turns,
                                     const std::vector<TokenSpan>& spans) {
  std::vector<ByteRange> ranges;
  auto span = spans.begin();
  const auto& parts = rendered.parts;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const Turn& turn = turns[parts[i].turn];
    if (turn.role != Role::kAssistant || !turn.is_target) continue;
    const bool goes_on = i + 1 < parts.size() && parts[i + 1].turn == parts[i].turn;
    const std::size_t limit = i + 1 < parts.size() ? parts[i + 1].bytes.begin : rendered.text.size();
    std::size_t end = limit;
    if (!goes_on) {
      const auto closes = [&](const TokenSpan& one) {
        return one.added && one.bytes.begin >= parts[i].bytes.begin && one.bytes.end > parts[i].bytes.end;
      };
      span = std::find_if(span, spans.end(), closes);
      if (span != spans.end() && span->bytes.begin < limit) {
        end = span->bytes.end;
      } else {
        const std::string_view rest = std::string_view(rendered.text).substr(0, limit);
        end = std::min(rest.find_first_not_of(" \t\r\n", parts[i].bytes.end), limit);
      }
    }
    ranges.push_back({parts[i].bytes.begin, end});
  }
  return ranges;
}

std::vector<std::string> left_out(const RenderedConversation& rendered, const std::vector<Turn>& turns) {
  std::vector<std::string> kept(turns.size());
  for (const RenderedPart& part : rendered.parts)
    kept[part.turn] += rendered.text.substr(part.bytes.begin, part.bytes.end - part.bytes.begin);
  std::set<std::string> names;
  for (std::size_t i = 0; i < turns.size(); ++i) {
    const std::string& content = turns[i].content;
    if (kept[i] == content) continue;
    const std::string rest = without_white_space(kept[i]);
    if (rest.empty() && !without_white_space(content).empty()) {
      names.insert(fmt::format("{} turn", role_name(turns[i].role)));
    } else if (turns[i].role == Role::kAssistant &&
               rest.find(without_white_space(thought_of(content))) == std::string::npos) {
      names.emplace("thought of an assistant turn");
    }
  }
  return {names.begin(), names.end()};
}

}  // namespace nkat::data
