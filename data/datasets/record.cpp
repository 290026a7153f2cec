#include "data/datasets/record.h"

#include <algorithm>
#include <optional>
#include <set>

#include <fmt/format.h>

#include "core/error.h"
#include "core/json.h"
#include "core/json_object.h"
#include "core/message.h"
#include "core/utf8.h"

namespace nkat::data {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kKinds = "messages, conversations, prompt+completion, instruction+output or text";

std::optional<Role> role_of(std::string_view name) {
  if (name == "system") return Role::kSystem;
  if (name == "user" || name == "human") return Role::kUser;
  if (name == "assistant" || name == "gpt") return Role::kAssistant;
  return std::nullopt;
}

// Reads the fields of one record and remembers which were used.
class FieldReader {
 public:
  FieldReader(const Json& json, const std::string& where) : json_(json), object_(json, where) {}

  [[noreturn]] void fail(const std::string& error) const {
    throw FormatError(fmt::format("{}: {}", object_.where(), error));
  }
  bool has(const char* key) const { return object_.has(key); }

  std::string text(const char* key) {
    used_.insert(key);
    return object_.string(key);
  }
  std::string text_or_empty(const char* key) { return has(key) ? text(key) : ""; }

  // A list of objects with a role and a content.
  std::vector<Turn> turns(const char* key, const char* role_key, const char* content_key, bool other_names) {
    used_.insert(key);
    const Json& list = *object_.find(key);
    if (!list.is_array() || list.empty()) object_.fail(key, "a list of at least one message");
    std::vector<Turn> turns;
    for (const Json& one : list) {
      const JsonObject message(one, fmt::format("{}: '{}' number {}", object_.where(), key, turns.size() + 1));
      const std::string name = message.string(role_key);
      const std::optional<Role> role = role_of(name);
      if (!role || (!other_names && name != role_name(*role)))
        message.fail(role_key, other_names ? "human, gpt, user, assistant or system" : "system, user or assistant");
      turns.push_back({*role, message.string(content_key)});
    }
    return turns;
  }

  Json unused() const {
    Json rest = Json::object();
    for (const auto& entry : json_.items()) {
      if (!used_.contains(entry.key())) rest[entry.key()] = entry.value();
    }
    return rest;
  }

 private:
  const Json& json_;
  JsonObject object_;
  std::set<std::string> used_;
};

std::vector<Turn> parse_rendered(const std::string& text, const FieldReader& fields) {
  std::vector<Turn> turns;
  try {
    turns = parse_rendered_conversation(text);
  } catch (const FormatError& error) {
    fields.fail(error.what());
  }
  if (turns.empty()) fields.fail("rendered conversation: " + expected("at least one message", "none"));
  return turns;
}

void read_instruction(FieldReader& fields, Record& record) {
  const std::string system = fields.text_or_empty("system");
  const std::string input = fields.text_or_empty("input");
  const std::string instruction = fields.text("instruction");
  const std::string output = fields.text("output");
  if (!system.empty()) record.turns.push_back({Role::kSystem, system});
  record.turns.push_back({Role::kUser, input.empty() ? instruction : instruction + "\n" + input});
  if (!is_rendered_conversation(output)) {
    record.turns.push_back({Role::kAssistant, output});
    return;
  }
  // An output with a user message is the whole conversation; otherwise it answers the instruction.
  record.was_rendered = true;
  std::vector<Turn> rendered = parse_rendered(output, fields);
  const auto has = [&](Role role) { return std::ranges::find(rendered, role, &Turn::role) != rendered.end(); };
  if (has(Role::kUser)) record.turns.pop_back();
  if (has(Role::kSystem)) std::erase_if(record.turns, [](const Turn& turn) { return turn.role == Role::kSystem; });
  const auto answer = rendered.begin() + (rendered[0].role == Role::kSystem ? 1 : 0);
  record.turns.insert(record.turns.begin(), rendered.begin(), answer);
  record.turns.insert(record.turns.end(), answer, rendered.end());
}

void read_text(FieldReader& fields, Record& record) {
  record.text = fields.text("text");
  if (record.text.empty()) fields.fail("key 'text': " + expected("at least one character", "none"));
  if (!is_rendered_conversation(record.text)) return;
  record.was_rendered = true;
  record.turns = parse_rendered(record.text, fields);
  record.text.clear();
}

std::string read_label(const Json& object) {
  for (const char* key : {"label", "four_class_label"}) {
    if (!object.contains(key) || !object[key].is_string()) continue;
    const std::string& value = object[key].get_ref<const std::string&>();
    if (std::ranges::find(kFourClasses, value) != kFourClasses.end()) return value;
  }
  return "";
}

}  // namespace

const char* kind_name(RecordKind kind) {
  switch (kind) {
    case RecordKind::kMessages: return "messages";
    case RecordKind::kConversations: return "conversations";
    case RecordKind::kPromptCompletion: return "prompt+completion";
    case RecordKind::kInstruction: return "instruction";
    case RecordKind::kText: return "text";
  }
  NKAT_INVARIANT(false);
}

Record parse_record(std::string_view line, const std::string& where) {
  const Json object = parse_json(line, where);
  FieldReader fields(object, where);
  Record record;
  if (fields.has("messages")) {
    record.kind = RecordKind::kMessages;
    record.turns = fields.turns("messages", "role", "content", /*other_names=*/false);
  } else if (fields.has("conversations")) {
    record.kind = RecordKind::kConversations;
    record.turns = fields.turns("conversations", "from", "value", /*other_names=*/true);
  } else if (fields.has("prompt") && fields.has("completion")) {
    record.kind = RecordKind::kPromptCompletion;
    record.turns = {{Role::kUser, fields.text("prompt")}, {Role::kAssistant, fields.text("completion")}};
  } else if (fields.has("instruction") && fields.has("output")) {
    record.kind = RecordKind::kInstruction;
    read_instruction(fields, record);
  } else if (fields.has("text")) {
    record.kind = RecordKind::kText;
    read_text(fields, record);
  } else {
    std::string keys;
    for (const auto& entry : object.items()) keys += (keys.empty() ? "" : ", ") + entry.key();
    fields.fail(
        expected(fmt::format("one of {}", kKinds), keys.empty() ? "no keys" : "the keys " + ellipsize(keys, 200)));
  }
  record.label = read_label(object);
  record.metadata = fields.unused();
  return record;
}

}  // namespace nkat::data
