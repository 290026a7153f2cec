// A record's messages as turns: a list of objects that hold a role and a content under their usual names.
//
//   role     `role` or `from`: system, developer; user, human, prompter; assistant, gpt, bot, model, ai, ..; in any case
//   content  `content`, `value` or `text`: a string, a text part ({"type": "text", "text": ".."}) or a list of both, which
//            are joined
//   marks    `weight`, `train`, `loss` and the like (record_fields.h): an assistant's turn so marked stays as context
//
// Refused with what was found: another role (tools), a content that is no text (null, an image part), tool calls, and
// marks for parts of a turn. Other keys are noted as unused.
#pragma once

#include <string_view>
#include <vector>

#include "data/datasets/record_fields.h"
#include "data/text/conversation.h"

namespace nkat::data {

// The field's turns, at least one; it may also be the text of such a list. FormatError "file:line: 'messages' number 2:
// ...".
std::vector<Turn> read_messages(RecordFields& fields, std::string_view key);

}  // namespace nkat::data
