#include "data/datasets/record_messages.h"

#include <algorithm>
#include <array>
#include <optional>

#include <fmt/format.h>

#include "core/error.h"
#include "core/json.h"
#include "core/message.h"
#include "core/utf8.h"

namespace nkat::data {
namespace {

using Json = nlohmann::ordered_json;

struct RoleName {
  std::string_view name;
  Role role;
};
constexpr std::array kRoleNames = {RoleName{"system", Role::kSystem},     RoleName{"developer", Role::kSystem},
                                   RoleName{"user", Role::kUser},         RoleName{"human", Role::kUser},
                                   RoleName{"prompter", Role::kUser},     RoleName{"assistant", Role::kAssistant},
                                   RoleName{"gpt", Role::kAssistant},     RoleName{"bot", Role::kAssistant},
                                   RoleName{"model", Role::kAssistant},   RoleName{"chatbot", Role::kAssistant},
                                   RoleName{"chatgpt", Role::kAssistant}, RoleName{"ai", Role::kAssistant},
                                   RoleName{"bing", Role::kAssistant},    RoleName{"bard", Role::kAssistant}};
constexpr std::array kToolRoles = {"tool",          "function",  "ipython",       "observation",
                                   "function_call", "tool_call", "tool_response", "function_response"};
constexpr std::array kToolCalls = {"tool_calls", "function_call"};
constexpr std::array kPartMarks = {"train_detail", "training_detail"};    // axolotl's
constexpr std::array kTextParts = {"text", "input_text", "output_text"};  // the latter two: OpenAI's Responses
constexpr std::array kPartKeys = {"type", "text", "value", "content", "cache_control", "annotations"};
constexpr const char* kNoTools = "tool calls aren't trained on here";

// One message; remembers which of its keys were used.
class MessageReader {
 public:
  MessageReader(const Json& json, std::string where) : json_(json), message_(json, std::move(where)) {}

  Turn read(bool of_conversations) {
    Turn turn;
    const auto there = [&](const char* key) { return json_.contains(key); };
    if (std::ranges::none_of(std::array{"role", "from", "content", "value", "text"}, there))
      refuse_keys(of_conversations);
    turn.role = role(first_of({"role", "from"}, of_conversations ? "from" : "role"));
    for (const char* key : kToolCalls) {
      if (message_.has(key) && !is_empty_value(*message_.find(key))) message_.fail(key, "an answer in text", kNoTools);
    }
    turn.content = content(first_of({"content", "value", "text"}, of_conversations ? "value" : "content"));
    for (const auto& entry : json_.items()) {
      const std::optional<bool> learned = learn_mark(message_, entry.key());
      if (!learned) continue;
      turn.is_target = turn.is_target && *learned;
      // Only answers are ever learned: a yes for another turn has no effect.
      if (turn.role == Role::kAssistant || !*learned) used_.insert(entry.key());
    }
    for (const char* key : kPartMarks) {
      if (message_.has(key) && !is_empty_value(*message_.find(key)))
        message_.fail(key, "a mark of the whole turn", "parts of a turn can't be marked; use \"train\": false");
    }
    return turn;
  }

  void note_unused(RecordFields& fields, std::string_view list) const {
    for (const auto& entry : json_.items()) {
      if (!used_.contains(entry.key()) && !is_empty_value(entry.value()))
        fields.note_unused(fmt::format("{}[].{}", list, entry.key()));
    }
    for (const std::string& key : unused_of_parts_) fields.note_unused(fmt::format("{}[].{}", list, key));
  }

 private:
  // The first of the keys with a value, else the first that is there: sets joined from several have all keys, some null.
  std::string first_of(std::initializer_list<const char*> keys, const char* usual) {
    const auto* found = std::ranges::find_if(keys, [&](const char* key) { return message_.has(key); });
    if (found == keys.end()) found = std::ranges::find_if(keys, [&](const char* key) { return json_.contains(key); });
    return *used_.insert(found == keys.end() ? usual : *found).first;
  }

  [[noreturn]] void refuse_keys(bool of_conversations) const {
    std::string keys;
    for (const auto& entry : json_.items()) keys += (keys.empty() ? "" : ", ") + entry.key();
    const char* wanted = of_conversations ? "the keys from and value" : "the keys role and content";
    throw FormatError(fmt::format("{}: {}", message_.where(),
                                  expected(wanted, keys.empty() ? "no keys" : "the keys " + ellipsize(keys, 200))));
  }

  Role role(const std::string& key) const {
    const std::string name = lower_case(message_.string(key));
    const auto found = std::ranges::find(kRoleNames, name, &RoleName::name);
    if (found != kRoleNames.end()) return found->role;
    message_.fail(key, key == "from" ? "human, gpt, user, assistant or system" : "system, user or assistant",
                  std::ranges::find(kToolRoles, name) == kToolRoles.end() ? "" : kNoTools);
  }

  std::string content(const std::string& key) {
    const Json* value = message_.find(key);
    if (value != nullptr && value->is_string()) return value->get<std::string>();
    if (value != nullptr && value->is_object() && (value->contains("text") || value->contains("type")))
      return part(*value, fmt::format("{}: '{}'", message_.where(), key));
    if (value == nullptr || !value->is_array() || value->empty()) message_.fail(key, "a string or text parts");
    std::string text;
    for (std::size_t i = 0; i < value->size(); ++i)
      text += part((*value)[i], fmt::format("{}: part {} of '{}'", message_.where(), i + 1, key));
    return text;
  }

  std::string part(const Json& value, const std::string& where) {
    if (value.is_string()) return value.get<std::string>();
    const JsonObject part(value, where);
    const std::string type = part.has("type") ? part.string("type") : "text";
    if (std::ranges::find(kTextParts, type) == kTextParts.end()) {
      throw FormatError(fmt::format(
          "{}: {}", where,
          expected("text", fmt::format("a part of type '{}'", ellipsize(type, 40)), "this model reads text alone")));
    }
    for (const auto& entry : value.items()) {
      if (std::ranges::find(kPartKeys, entry.key()) == kPartKeys.end() && !is_empty_value(entry.value()))
        unused_of_parts_.insert(fmt::format("content[].{}", entry.key()));
    }
    for (const char* key : {"value", "content"}) {
      if (part.has(key)) return part.string(key);
    }
    return part.string("text");
  }

  const Json& json_;
  JsonObject message_;
  std::set<std::string, std::less<>> used_;
  std::set<std::string> unused_of_parts_;
};

}  // namespace

std::vector<Turn> read_messages(RecordFields& fields, std::string_view key) {
  const Json& given = fields.use(key);
  const std::string where = fmt::format("{}: '{}'", fields.object().where(), key);
  const bool is_text = given.is_string() && given.get_ref<const std::string&>().starts_with('[');
  const Json parsed = is_text ? parse_json(given.get_ref<const std::string&>(), where) : Json();
  const Json& list = is_text ? parsed : given;
  if (!list.is_array() || list.empty()) fields.object().fail(key, "a list of at least one message");
  std::vector<Turn> turns;
  for (const Json& one : list) {
    MessageReader message(one, fmt::format("{} number {}", where, turns.size() + 1));
    turns.push_back(message.read(key.starts_with("conversation")));
    message.note_unused(fields, key);
  }
  return turns;
}

}  // namespace nkat::data
