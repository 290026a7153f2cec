// One record of a data file: a JSON object, told apart by its keys; the first of these kinds that is present counts:
//
//   messages       [{"role": "user", "content": ".."}, ..]      roles system, user, assistant
//   conversations  [{"from": "human", "value": ".."}, ..]       also gpt, user, assistant, system
//   prompt, completion
//   instruction, output, and optionally input (below the instruction) and system
//   text           trained on as it is: every token is a target
//
// A key with null counts as absent; keys that are not used are kept as metadata. An `output` or `text` that begins with
// a role token is a rendered conversation and is parsed back into its turns. `label`, or `four_class_label`, in ALLOW,
// ESCALATION, DENY, REFUSE makes a four-class record.
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
  bool was_rendered = false;  // its output or text held a rendered conversation
  std::string label;          // one of kFourClasses, or empty
  nlohmann::ordered_json metadata = nlohmann::ordered_json::object();
};

// where: "file:line". Throws FormatError "file:line: ...".
Record parse_record(std::string_view line, const std::string& where);

}  // namespace nkat::data
