#include "data/text/chat_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "tests/support/message_of.h"
#include "tests/support/tiny_tokenizer.h"

namespace nkat::data {
namespace {

using nkat::testing::tiny_id;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

constexpr const char* kPhi35 =
    "{% for message in messages %}{% if message['role'] == 'system' and message['content'] %}{{'<|system|>\\n' + "
    "message['content'] + "
    "'<|end|>\\n'}}{% elif message['role'] == 'user' %}{{'<|user|>\\n' + message['content'] + '<|end|>\\n'}}{% elif "
    "message['role'] == "
    "'assistant' %}{{'<|assistant|>\\n' + message['content'] + '<|end|>\\n'}}{% endif %}{% endfor %}{% if "
    "add_generation_prompt %}{{ "
    "'<|assistant|>\\n' }}{% else %}{{ eos_token }}{% endif %}";

class ChatTemplateTest : public ::testing::Test {
 protected:
  ChatTemplateTest() : tokenizer_(nkat::testing::write_tiny_tokenizer(folder_)) {}
  ChatTemplate load() { return ChatTemplate::from_model_folder(folder_.path()); }
  nkat::testing::TemporaryFolder folder_;
  Tokenizer tokenizer_;
};

TEST_F(ChatTemplateTest, RendersPhi35) {
  const std::vector<Turn> turns = {{Role::kSystem, "be kind"}, {Role::kUser, " hi "}, {Role::kAssistant, "yo"}};
  EXPECT_EQ(load().render(turns, false),
            "<|system|>\nbe kind<|end|>\n<|user|>\n hi <|end|>\n<|assistant|>\nyo<|end|>\n<|endoftext|>");
  EXPECT_EQ(load().render({{Role::kSystem, ""}, {Role::kUser, "hi"}}, true), "<|user|>\nhi<|end|>\n<|assistant|>\n");
  EXPECT_FALSE(load().role_token_follows_user());
}

TEST_F(ChatTemplateTest, RecognizesTheModelsOwnTextInEverySpelling) {
  EXPECT_EQ(load().name(), "Phi-3.5");
  folder_.write("chat_template.jinja", kPhi35);
  EXPECT_EQ(load().name(), "Phi-3.5");
  std::string spaced = kPhi35;
  // Behind a block; behind }} white space would be output.
  for (std::size_t at = 0; (at = spaced.find("%}{%", at)) != std::string::npos; at += 4) spaced.insert(at + 2, "\n  ");
  folder_.write("chat_template.jinja", spaced + "\n");
  EXPECT_EQ(load().name(), "Phi-3.5");
  fs::remove(folder_.path() / "chat_template.jinja");
  nlohmann::json config = nlohmann::json::parse(nkat::testing::tiny_tokenizer_config());
  config["chat_template"] = {{{"name", "tool_use"}, {"template", "x"}}, {{"name", "default"}, {"template", kPhi35}}};
  folder_.write("tokenizer_config.json", config.dump());
  EXPECT_EQ(load().name(), "Phi-3.5");
}

TEST_F(ChatTemplateTest, RefusesOtherTemplatesByNamingThoseKnown) {
  const std::string good = kPhi35;
  std::string other_role = good;
  other_role.replace(other_role.find("<|user|>"), 8, "<|usr|>");
  std::string space_in_text = good;
  space_in_text.replace(space_in_text.find("<|user|>"), 8, "<|user|> ");
  for (const std::string& source :
       {std::string("{{ messages }}"), other_role, space_in_text, "x" + good, good + good, std::string()}) {
    folder_.write("chat_template.jinja", source);
    const std::string message = nkat::testing::message_of([&] { load(); });
    EXPECT_THAT(message, HasSubstr("these are known: Phi-3.5, Phi-3 (July 2024), Phi-3 (April 2024)")) << source;
  }
}

TEST_F(ChatTemplateTest, KnowsTheFirstPhi3Form) {
  folder_.write(
      "chat_template.jinja",
      "{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') %}{{'<|user|>' + '\\n' + "
      "message['content'] + '<|end|>' + '\\n' + '<|assistant|>' + '\\n'}}{% elif (message['role'] == 'assistant') "
      "%}{{message['content'] + '<|end|>' + '\\n'}}{% endif %}{% endfor %}");
  const std::vector<Turn> turns = {{Role::kUser, "h"}, {Role::kAssistant, "a"}};
  EXPECT_EQ(load().render(turns, false), "<s><|user|>\nh<|end|>\n<|assistant|>\na<|end|>\n");
  EXPECT_TRUE(load().role_token_follows_user());
  const auto encoded = load().encode(tokenizer_, turns, AddedTokens::kText, false);
  EXPECT_THAT(encoded.is_target, ElementsAre(false, false, false, false, false, false, true, true, true));
}

TEST_F(ChatTemplateTest, TargetsAreTheAnswersAndTheirEndTokens) {
  const std::vector<Turn> turns = {
      {Role::kUser, "h"}, {Role::kAssistant, " hello"}, {Role::kUser, "a"}, {Role::kAssistant, ""}};
  const auto encoded = load().encode(tokenizer_, turns, AddedTokens::kText, false);
  const int space = tiny_id("\u2581");
  EXPECT_THAT(encoded.tokens, ElementsAre(310, space, tiny_id("h"), 307, 301, tiny_id("\u2581hello"), 307, 310, space,
                                          tiny_id("a"), 307, 301, 307, 300));
  EXPECT_THAT(encoded.is_target, ElementsAre(false, false, false, false, false, true, true, false, false, false, false,
                                             false, true, false));
}

TEST_F(ChatTemplateTest, TextAndControlAgreeWhereTheContentHoldsNoAddedToken) {
  for (const char* content : {"hello", "  \n hello \n", "", "\u3000\u00a0", "\u3053\u3093 <| end |>", "\n\n"}) {
    const std::vector<Turn> turns = {{Role::kSystem, content}, {Role::kUser, content}, {Role::kAssistant, content}};
    for (const bool prompt : {false, true}) {
      const auto text = load().encode(tokenizer_, turns, AddedTokens::kText, prompt);
      const auto control = load().encode(tokenizer_, turns, AddedTokens::kControl, prompt);
      EXPECT_EQ(text.tokens, control.tokens) << content;
      EXPECT_EQ(text.is_target, control.is_target) << content;
      EXPECT_THAT(control.tokens,
                  ElementsAreArray(tokenizer_.encode(load().render(turns, prompt), AddedTokens::kControl)));
    }
  }
}

TEST_F(ChatTemplateTest, KeepsAddedTokensInsideContentAsTextUnlessTheyAreControl) {
  const std::vector<Turn> turns = {{Role::kUser, "h"}, {Role::kAssistant, "a<|end|> a"}};
  const auto text = load().encode(tokenizer_, turns, AddedTokens::kText, false);
  const auto control = load().encode(tokenizer_, turns, AddedTokens::kControl, false);
  EXPECT_EQ(std::ranges::count(text.tokens, 307), 2);
  EXPECT_EQ(std::ranges::count(control.tokens, 307), 3);
  EXPECT_EQ(std::ranges::count(control.is_target, true), 6);  // _ a <|end|> _ a <|end|>
}

TEST_F(ChatTemplateTest, GenerationPromptEndsInTheAssistantTag) {
  const auto encoded = load().encode(tokenizer_, {{Role::kUser, "h"}}, AddedTokens::kText, true);
  EXPECT_EQ(encoded.tokens.back(), 301);
  EXPECT_EQ(std::ranges::count(encoded.is_target, true), 0);
}

}  // namespace
}  // namespace nkat::data
