#include "data/datasets/record.h"

#include <algorithm>
#include <optional>
#include <set>

#include <fmt/format.h>

#include "core/error.h"
#include "core/json.h"

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
  FieldReader(const Json& object, const std::string& where) : object_(object), where_(where) {}

  [[noreturn]] void fail(const std::string& what) const { throw FormatError(fmt::format("{}: {}", where_, what)); }

  bool has(const char* key) const { return object_.contains(key) && !object_[key].is_null(); }

  std::string text(const char* key) {
    used_.insert(key);
    if (!object_[key].is_string()) fail(fmt::format("'{}' is {}, a text was expected", key, object_[key].type_name()));
    return object_[key].get<std::string>();
  }
  std::string text_or_empty(const char* key) { return has(key) ? text(key) : ""; }

  // A list of objects with a role and a content.
  std::vector<Turn> turns(const char* key, const char* role_key, const char* content_key, bool other_names) {
    used_.insert(key);
    const Json& list = object_[key];
    if (!list.is_array() || list.empty()) fail(fmt::format("'{}' must be a list with at least one turn", key));
    std::vector<Turn> turns;
    for (const Json& one : list) {
      const std::string place = fmt::format("'{}' number {}", key, turns.size() + 1);
      for (const char* field : {role_key, content_key}) {
        if (!one.is_object() || !one.contains(field) || !one[field].is_string()) {
          fail(fmt::format("{}: an object with the texts '{}' and '{}' was expected", place, role_key, content_key));
        }
      }
      const std::string& name = one[role_key].get_ref<const std::string&>();
      const std::optional<Role> role = role_of(name);
      if (!role || (!other_names && name != role_name(*role))) {
        fail(fmt::format("{}: role '{}', {} was expected", place, name,
                         other_names ? "human, gpt, user, assistant or system" : "system, user or assistant"));
      }
      turns.push_back({*role, one[content_key].get<std::string>()});
    }
    return turns;
  }

  Json unused() const {
    Json rest = Json::object();
    for (const auto& entry : object_.items()) {
      if (!used_.contains(entry.key())) rest[entry.key()] = entry.value();
    }
    return rest;
  }

 private:
  const Json& object_;
  const std::string& where_;
  std::set<std::string> used_;
};

std::vector<Turn> parse_rendered(const std::string& text, FieldReader& fields) {
  std::vector<Turn> turns;
  try {
    turns = parse_rendered_conversation(text);
  } catch (const FormatError& error) {
    fields.fail(error.what());
  }
  if (turns.empty()) fields.fail("the rendered conversation has no turn, at least one was expected");
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
  // An output with a question of its own is the whole conversation; else it is the answer to the instruction.
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
  if (record.text.empty()) fields.fail("'text' is empty, at least one character was expected");
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
  if (!object.is_object()) fields.fail(fmt::format("a JSON {}, a JSON object was expected", object.type_name()));
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
    fields.fail(fmt::format("keys {}, one of {} was expected", keys.empty() ? "none" : keys.substr(0, 200), kKinds));
  }
  record.label = read_label(object);
  record.metadata = fields.unused();
  return record;
}

}  // namespace nkat::data
