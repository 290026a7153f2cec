#include "data/text/conversation.h"

#include <algorithm>
#include <array>
#include <optional>

#include <fmt/format.h>

#include "core/error.h"
#include "core/message.h"
#include "core/utf8.h"

namespace nkat::data {
namespace {

constexpr std::string_view kBegin = "<s>";
constexpr std::string_view kEnd = "<|end|>";
constexpr std::array<std::string_view, 2> kFinalTokens = {"<|endoftext|>", "</s>"};
struct RoleToken {
  std::string_view text;
  Role role;
};
constexpr std::array kRoleTokens = {RoleToken{"<|system|>", Role::kSystem}, RoleToken{"<|user|>", Role::kUser},
                                    RoleToken{"<|assistant|>", Role::kAssistant}};

void drop_leading_space(std::string_view& text) {
  while (!text.empty()) {
    const DecodedCodePoint point = decode_code_point(text, 0);
    if (!is_unicode_white_space(point.value)) return;
    text.remove_prefix(point.length);
  }
}

std::optional<Role> take_role_token(std::string_view& text) {
  for (const RoleToken& token : kRoleTokens) {
    if (!text.starts_with(token.text)) continue;
    text.remove_prefix(token.text.size());
    return token.role;
  }
  return std::nullopt;
}

// Where the content that begins the text stops: at <|end|>, or, where that was left out, at the next role token or final
// token.
std::size_t content_length(std::string_view text) {
  std::size_t length = std::min(text.find(kEnd), text.size());
  for (const RoleToken& token : kRoleTokens) length = std::min(length, text.find(token.text));
  for (const std::string_view token : kFinalTokens) length = std::min(length, text.find(token));
  return length;
}

}  // namespace

const char* role_name(Role role) {
  switch (role) {
    case Role::kSystem: return "system";
    case Role::kUser: return "user";
    case Role::kAssistant: return "assistant";
  }
  NKAT_INVARIANT(false);
}

bool is_rendered_conversation(std::string_view text) {
  drop_leading_space(text);
  if (text.starts_with(kBegin)) text.remove_prefix(kBegin.size());
  drop_leading_space(text);
  return take_role_token(text).has_value();
}

std::vector<Turn> parse_rendered_conversation(std::string_view text) {
  std::vector<Turn> turns;
  drop_leading_space(text);
  if (text.starts_with(kBegin)) text.remove_prefix(kBegin.size());
  for (drop_leading_space(text); !text.empty(); drop_leading_space(text)) {
    bool final_token = false;
    for (const std::string_view token : kFinalTokens) {
      if (!text.starts_with(token)) continue;
      text.remove_prefix(token.size());
      final_token = true;
    }
    if (final_token) continue;
    const std::optional<Role> role = take_role_token(text);
    if (!role) {
      throw FormatError(fmt::format("rendered conversation: after turn {}: {}", turns.size(),
                                    expected("<|system|>, <|user|> or <|assistant|>", "other text")));
    }
    drop_leading_space(text);
    const std::size_t length = content_length(text);
    const bool generation_prompt = length == text.size() && length == 0;
    if (!generation_prompt) turns.push_back({*role, std::string(text.substr(0, length))});
    text.remove_prefix(length);
    if (text.starts_with(kEnd)) text.remove_prefix(kEnd.size());
  }
  return turns;
}

}  // namespace nkat::data
