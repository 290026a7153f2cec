// A conversation as messages with roles, and how one that a data file holds already rendered is parsed back into them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace nkat::data {

enum class Role { kSystem, kUser, kAssistant };
const char* role_name(Role role);  // "system", "user", "assistant"

// One message.
struct Turn {
  Role role = Role::kUser;
  std::string content;
  bool is_target = true;  // an assistant's turn is learned; false keeps it as context
};

// Does the text begin with a role token of Phi-3 (<|user|>), with or without <s> before it?
bool is_rendered_conversation(std::string_view text);
// Its messages. White space after a role token is dropped, as is a generation prompt at the end. Text outside messages is
// a FormatError.
std::vector<Turn> parse_rendered_conversation(std::string_view text);

}  // namespace nkat::data
