#include "data/datasets/record.h"

#include <algorithm>
#include <optional>
#include <span>

#include <fmt/format.h>

#include "core/error.h"
#include "core/json.h"
#include "core/message.h"
#include "core/utf8.h"
#include "data/datasets/record_fields.h"
#include "data/datasets/record_messages.h"

namespace nkat::data {
namespace {

using Json = nlohmann::ordered_json;

// The first whose keys are all there counts. What was read from the beginning stands before what came later, so that no
// record changes its kind.
struct KindKeys {
  RecordKind kind;
  const char* question;  // the only key where there is no answer
  const char* answer = nullptr;
};
constexpr std::array kKinds = {KindKeys{RecordKind::kMessages, "messages"},
                               KindKeys{RecordKind::kConversations, "conversations"},
                               KindKeys{RecordKind::kPromptCompletion, "prompt", "completion"},
                               KindKeys{RecordKind::kInstruction, "instruction", "output"},
                               KindKeys{RecordKind::kText, "text"},
                               KindKeys{RecordKind::kConversations, "conversation"},
                               KindKeys{RecordKind::kPromptCompletion, "prompt", "response"},
                               KindKeys{RecordKind::kPromptCompletion, "query", "response"},
                               KindKeys{RecordKind::kInstruction, "instruction", "response"}};
constexpr std::array kSystemKeys = {"system", "system_prompt", "system_message"};
constexpr std::array kMedia = {"<image>", "<video>", "<audio>"};
// What sets of questions and answers name them besides; in any case.
constexpr std::array kQuestionNames = {"prompt", "question", "query", "input", "problem", "instruction", "user"};
constexpr std::array kAnswerNames = {"completion", "answer", "response", "output", "solution", "target", "assistant"};

template <class Has>
const KindKeys* find_kind(const Has& has) {
  const auto found = std::ranges::find_if(
      kKinds, [&](const KindKeys& one) { return has(one.question) && (one.answer == nullptr || has(one.answer)); });
  return found == kKinds.end() ? nullptr : &*found;
}

std::vector<Turn> parse_rendered(const std::string& text, const RecordFields& fields) {
  std::vector<Turn> turns;
  try {
    turns = parse_rendered_conversation(text);
  } catch (const FormatError& error) {
    fields.fail(error.what());
  }
  if (turns.empty()) fields.fail("rendered conversation: " + expected("at least one message", "none"));
  return turns;
}

// Question and answer pairs that came before.
std::vector<Turn> read_history(RecordFields& fields) {
  const Json* history = fields.object().find("history");
  const auto is_pair = [](const Json& one) {
    return one.is_array() && one.size() == 2 && one[0].is_string() && one[1].is_string();
  };
  if (history == nullptr || !history->is_array() || !std::ranges::all_of(*history, is_pair)) return {};
  std::vector<Turn> turns;
  for (const Json& pair : fields.use("history")) {
    turns.push_back({Role::kUser, pair[0].get<std::string>()});
    turns.push_back({Role::kAssistant, pair[1].get<std::string>()});
  }
  return turns;
}

void read_instruction(RecordFields& fields, const KindKeys& keys, Record& record) {
  // Dolly's sets have the text that a response is about as context.
  const bool has_context = !fields.has("input") && std::string_view(keys.answer) == "response";
  const std::string input = fields.text_or_empty(has_context ? "context" : "input");
  const std::string instruction = fields.text(keys.question);
  const std::string output = fields.text(keys.answer);
  record.turns = read_history(fields);
  const bool both = !instruction.empty() && !input.empty();
  record.turns.push_back({Role::kUser, both ? instruction + "\n" + input : instruction + input});
  if (!is_rendered_conversation(output)) {
    record.turns.push_back({Role::kAssistant, output});
    return;
  }
  // An output with a user message is the whole conversation; otherwise it answers the instruction.
  record.was_rendered = true;
  std::vector<Turn> rendered = parse_rendered(output, fields);
  if (std::ranges::find(rendered, Role::kUser, &Turn::role) != rendered.end()) record.turns.clear();
  const auto answer = rendered.begin() + (rendered[0].role == Role::kSystem ? 1 : 0);
  record.turns.insert(record.turns.begin(), rendered.begin(), answer);
  record.turns.insert(record.turns.end(), answer, rendered.end());
}

// A text, or the list of messages that conversational data sets have in its place.
std::vector<Turn> text_or_messages(RecordFields& fields, const char* key, Role role) {
  const Json& value = *fields.object().find(key);
  if (value.is_array() && !value.empty()) return read_messages(fields, key);
  return {{role, fields.text(key)}};
}

void read_prompt(RecordFields& fields, const KindKeys& keys, Record& record) {
  record.turns = read_history(fields);
  std::vector<Turn> prompt = text_or_messages(fields, keys.question, Role::kUser);
  for (Turn& turn : prompt) turn.is_target = false;
  const std::vector<Turn> answer = text_or_messages(fields, keys.answer, Role::kAssistant);
  record.turns.insert(record.turns.end(), prompt.begin(), prompt.end());
  record.turns.insert(record.turns.end(), answer.begin(), answer.end());
}

void read_text(RecordFields& fields, Record& record) {
  record.text = fields.text("text");
  if (record.text.empty()) fields.fail("key 'text': " + expected("at least one character", "none"));
  if (!is_rendered_conversation(record.text)) return;
  record.was_rendered = true;
  record.turns = parse_rendered(record.text, fields);
  record.text.clear();
}

// A text beside the turns becomes a system turn before them. Turns that begin with one keep their own, as in
// LLaMA-Factory; another text then stays unused.
void read_system(RecordFields& fields, std::vector<Turn>& turns) {
  for (const char* key : kSystemKeys) {
    if (!fields.has(key)) continue;
    const std::string system = fields.object().string(key);
    const bool has_turn = turns.front().role == Role::kSystem;
    if (has_turn && !turns.front().content.empty() && turns.front().content != system) continue;
    fields.use(key);
    if (system.empty()) continue;
    if (!has_turn) turns.insert(turns.begin(), Turn{Role::kSystem, {}});
    turns.front().content = system;
  }
}

std::string read_label(RecordFields& fields) {
  for (const char* key : {"label", "four_class_label"}) {
    const Json* value = fields.object().find(key);
    if (value == nullptr || !value->is_string()) continue;
    const std::string& label = value->get_ref<const std::string&>();
    if (std::ranges::find(kFourClasses, label) == kFourClasses.end()) continue;
    fields.account_for(key);
    return label;
  }
  return "";
}

// Is the whole record marked as one that is not to be learned? A value that is no flag means something else.
bool is_unwanted(RecordFields& fields, const Json& object, bool has_turns) {
  bool unwanted = false;
  for (const auto& entry : object.items()) {
    if (has_turns && is_learn_mark(entry.key()) && entry.value().is_array() && !entry.value().empty())
      fields.object().fail(entry.key(), "a mark of the whole record", "mark each turn: {.., \"train\": false}");
    const bool kto = entry.key() == "kto_tag" || (entry.key() == "label" && has_turns && entry.value().is_boolean());
    const std::optional<bool> flag = flag_of(entry.value());
    if (!flag || (!kto && !is_learn_mark(entry.key()))) continue;
    const bool wanted = kto ? *flag : *learn_mark(fields.object(), entry.key());
    fields.use(entry.key());
    unwanted = unwanted || !wanted;
  }
  return unwanted;
}

// What of the record is no text, and what has no answer but could have one.
void check_turns(const RecordFields& fields, const std::vector<Turn>& turns) {
  for (const char* key : {"images", "image", "videos", "audios"}) {
    if (!fields.has(key) || is_empty_value(*fields.object().find(key))) continue;
    for (const Turn& turn : turns) {
      if (std::ranges::any_of(kMedia, [&](const char* one) { return turn.content.find(one) != std::string::npos; }))
        fields.object().fail(key, "text alone");
    }
  }
  if (turns.back().role != Role::kAssistant && fields.has("chosen"))
    fields.fail("preference pairs (chosen, rejected) aren't trained on here; put the chosen answer into the turns");
}

bool has_text_under(const Json& object, std::span<const char* const> names) {
  for (const auto& entry : object.items()) {
    if (entry.value().is_string() && std::ranges::find(names, lower_case(entry.key())) != names.end()) return true;
  }
  return false;
}

// What to do about a record of no known kind.
std::string advice(const Json& object) {
  if (object.contains("chosen") || object.contains("rejected"))
    return "preference pairs aren't trained on here: give the chosen answer as completion";
  if (object.contains("input_ids")) return "tokens of another program aren't read: give their text";
  if (object.contains("segments")) return "segments aren't read: give them as prompt and completion, or as messages";
  if (has_text_under(object, kQuestionNames) && has_text_under(object, kAnswerNames))
    return "name them prompt and completion";
  for (const auto& entry : object.items()) {
    const Json& value = entry.value();
    if (!value.is_array() || value.empty() || !value[0].is_object()) continue;
    if (value[0].contains("role") || value[0].contains("from"))
      return fmt::format("name the list '{}' messages", ellipsize(entry.key(), 40));
    return fmt::format("where '{}' is the list of the records, take them out of it", ellipsize(entry.key(), 40));
  }
  return "";
}

[[noreturn]] void refuse_kind(const RecordFields& fields, const Json& object) {
  std::string keys;
  for (const auto& entry : object.items()) keys += (keys.empty() ? "" : ", ") + entry.key();
  fields.fail(expected(fmt::format("one of {}", kRecordKinds),
                       keys.empty() ? "no keys" : "the keys " + ellipsize(keys, 200), advice(object)));
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

std::vector<std::string> kind_keys(const std::vector<std::string>& keys) {
  const KindKeys* kind = find_kind([&](const char* key) { return std::ranges::find(keys, key) != keys.end(); });
  if (kind == nullptr) return {};
  return kind->answer == nullptr ? std::vector<std::string>{kind->question}
                                 : std::vector<std::string>{kind->question, kind->answer};
}

Record parse_record(std::string_view line, const std::string& where) {
  const Json object = parse_json(line, where);
  RecordFields fields(object, where);
  const KindKeys* keys = find_kind([&](const char* key) { return fields.has(key); });
  if (keys == nullptr) refuse_kind(fields, object);
  Record record;
  record.kind = keys->kind;
  switch (keys->kind) {
    case RecordKind::kMessages:
    case RecordKind::kConversations: record.turns = read_messages(fields, keys->question); break;
    case RecordKind::kPromptCompletion: read_prompt(fields, *keys, record); break;
    case RecordKind::kInstruction: read_instruction(fields, *keys, record); break;
    case RecordKind::kText: read_text(fields, record); break;
  }
  record.label = read_label(fields);
  if (!record.turns.empty()) {
    read_system(fields, record.turns);
    check_turns(fields, record.turns);
  }
  if (is_unwanted(fields, object, !record.turns.empty())) {
    record.is_target = false;
    for (Turn& turn : record.turns) turn.is_target = false;
  }
  record.metadata = fields.metadata();
  record.unused = fields.unused();
  return record;
}

}  // namespace nkat::data
