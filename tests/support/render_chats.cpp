// What a model folder's chat template makes of conversations: nkat_render_chats FOLDER < CONVERSATIONS.
// Each line is {"messages": [{"role", "content"}], "prompt": bool}; each line written {"text", "tokens", "targets"
// (positions)}, or {"error"}.
#include <iostream>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/json.h"
#include "data/datasets/record.h"
#include "data/text/chat_template.h"
#include "data/text/tokenizer.h"

namespace nkat::data {
namespace {

nlohmann::ordered_json rendered(const Tokenizer& tokenizer, const ChatTemplate& chat_template,
                                const std::string& line) {
  const bool prompt = parse_json(line, "stdin").value("prompt", false);
  try {
    const std::vector<Turn> turns = parse_record(line, "stdin").turns;
    const RenderedConversation conversation = chat_template.render_parts(turns, prompt);
    const ChatTemplate::Encoded encoded =
        ChatTemplate::encode(tokenizer, conversation, turns, AddedTokens::kText);
    std::vector<std::size_t> targets;
    for (std::size_t i = 0; i < encoded.is_target.size(); ++i) {
      if (encoded.is_target[i]) targets.push_back(i);
    }
    return {{"text", conversation.text}, {"tokens", encoded.tokens}, {"targets", targets}};
  } catch (const Error& error) {
    return {{"error", error.what()}};
  }
}

}  // namespace
}  // namespace nkat::data

int main(int count, char** arguments) try {
  if (count != 2) throw nkat::ConfigError("usage: nkat_render_chats FOLDER < CONVERSATIONS");
  const nkat::data::Tokenizer tokenizer(arguments[1]);
  const auto chat_template = nkat::data::ChatTemplate::from_model_folder(arguments[1]);
  for (std::string line; std::getline(std::cin, line);)
    std::cout << nkat::dump_json(nkat::data::rendered(tokenizer, chat_template, line)) << '\n';
  return 0;
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
