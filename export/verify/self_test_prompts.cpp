#include "export/verify/self_test_prompts.h"

#include <algorithm>

#include "core/error.h"
#include "models/model_folder.h"

namespace nkat::exporting {
namespace {

struct Conversation {
  const char* question;
  const char* answer;
};

constexpr Conversation kConversations[] = {
    {"Why is the sky blue?", "Air scatters short waves of light more than long ones, so blue comes from everywhere."},
    {"日本の首都はどこですか。", "日本の首都は東京です。"},
    {"What is 48 + 57 - 19?", "48 + 57 = 105, and 105 - 19 = 86.\n#### 86"},
    {"Write a loop that sums a list.", "total = 0\nfor x in values:\n    total += x\nprint(total)"},
};

models::TextProcessor open_text(const fs::path& model_folder, const models::Phi3Config& config) {
  try {
    return models::load_tokenizer_and_template(model_folder, config);
  } catch (const FormatError& error) {
    throw FormatError(std::string(error.what()) + "; --self-test tensors needs no tokenizer");
  } catch (const DataError& error) {
    throw DataError(std::string(error.what()) + "; --self-test tensors needs no tokenizer");
  }
}

}  // namespace

Prompts self_test_prompts(const fs::path& model_folder, const models::Phi3Config& config) {
  constexpr std::int64_t kLongest = 256;  // tokens
  const models::TextProcessor text = open_text(model_folder, config);
  const auto longest = static_cast<std::size_t>(std::min(kLongest, config.original_max_position_embeddings));
  Prompts prompts;
  for (const auto& [question, answer] : kConversations) {
    const std::vector<data::Turn> turns = {{data::Role::kUser, question}, {data::Role::kAssistant, answer}};
    auto tokens = text.chat_template.encode(text.tokenizer, turns, data::AddedTokens::kText, false).tokens;
    if (tokens.size() > longest) tokens.resize(longest);
    prompts.push_back(std::move(tokens));
  }
  return prompts;
}

}  // namespace nkat::exporting
