// One record of a data file: a JSON object, told apart by its keys; the first of these kinds that is present counts:
//
//   messages       [{"role": "user", "content": ".."}, ..]      record_messages.h says what a message may be
//   conversations  [{"from": "human", "value": ".."}, ..]
//   prompt, completion           each a text, or a list of messages, of which the prompt's are context
//   instruction, output, and optionally input (below the instruction)
//   text           trained on as it is: every token is a target
//   conversation   as conversations
//   prompt, response; query, response; instruction, response, and optionally input or context
//
// Beside turns count, whatever the kind:
//   system, system_prompt, system_message   a system turn before them, unless they begin with one of their own
//   history                                 [["question", "answer"], ..]: turns before an instruction or prompt
//   weight, train, loss and the like        0: all of the record is context (record_fields.h); so does "kto_tag" or
//                                           "label": false, which mark an answer that is not wanted
//
// A key with null counts as absent; keys that are not used are kept as metadata, and named in `unused`. An `output` or
// `text` that begins with a role token is a rendered conversation and is parsed back into its turns. `label`, or
// `four_class_label`, in ALLOW, ESCALATION, DENY, REFUSE makes a four-class record.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "data/text/conversation.h"

namespace nkat::data {

enum class RecordKind { kMessages, kConversations, kPromptCompletion, kInstruction, kText };
const char* kind_name(RecordKind kind);  // "prompt+completion"

inline constexpr std::array<std::string_view, 4> kFourClasses = {"ALLOW", "ESCALATION", "DENY", "REFUSE"};

struct Record {
  RecordKind kind = RecordKind::kText;
  std::vector<Turn> turns;    // empty for plain text
  std::string text;           // plain text
  bool is_target = true;      // of plain text; turns have their own
  bool was_rendered = false;  // its output or text held a rendered conversation
  std::string label;          // one of kFourClasses, or empty
  nlohmann::ordered_json metadata = nlohmann::ordered_json::object();
  std::vector<std::string> unused = {};  // what it carries and training doesn't use: "tools", "messages[].name"
};

// where: "file:line". Throws FormatError "file:line: ...".
Record parse_record(std::string_view line, const std::string& where);

// The keys that make the kind of a record with these keys; none: they make none.
std::vector<std::string> kind_keys(const std::vector<std::string>& keys);
// The kinds by their keys, for messages: "messages, conversations, prompt+completion, ...".
inline constexpr const char* kRecordKinds = "messages, conversations, prompt+completion, instruction+output or text";

}  // namespace nkat::data
