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
using ::testing::StartsWith;

constexpr const char* kPhi35 =
    "{% for message in messages %}{% if message['role'] == 'system' and message['content'] %}{{'<|system|>\\n' + "
    "message['content'] + "
    "'<|end|>\\n'}}{% elif message['role'] == 'user' %}{{'<|user|>\\n' + message['content'] + '<|end|>\\n'}}{% elif "
    "message['role'] == "
    "'assistant' %}{{'<|assistant|>\\n' + message['content'] + '<|end|>\\n'}}{% endif %}{% endfor %}{% if "
    "add_generation_prompt %}{{ "
    "'<|assistant|>\\n' }}{% else %}{{ eos_token }}{% endif %}";

constexpr const char* kChatml =
    "{% for m in messages %}{{ '<|' + m.role + '|>\\n' + m.content + '<|end|>\\n' }}{% endfor %}";

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
  EXPECT_FALSE(load().known()->role_token_follows_user);
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

TEST_F(ChatTemplateTest, RendersATemplateOfTheModelsOwn) {
  folder_.write("chat_template.jinja", kChatml);
  const ChatTemplate chat = load();
  EXPECT_EQ(chat.known(), nullptr);
  EXPECT_THAT(chat.name(), StartsWith("own, sha256 "));
  EXPECT_EQ(chat.render({{Role::kUser, "h"}, {Role::kAssistant, "a"}}, false),
            "<|user|>\nh<|end|>\n<|assistant|>\na<|end|>\n");
  EXPECT_NE(ChatTemplate(kChatml, {{"bos_token", "<s>"}}).identity(), ChatTemplate(kChatml, {}).identity());
  EXPECT_NE(ChatTemplate(std::string(kChatml) + " ", {}).identity(), ChatTemplate(kChatml, {}).identity());
}

TEST_F(ChatTemplateTest, TheFileDecidesWhateverTheConfigHolds) {
  folder_.write("chat_template.jinja", "{{ bos_token }}{{ eos_token }}!");
  folder_.write("additional_chat_templates_are_not_read", "");
  folder_.write("tokenizer_config.json",
                R"({"chat_template":{"an":"object"},"bos_token":{"content":"<s>"},"eos_token":"</s>"})");
  EXPECT_EQ(load().render({}, false), "<s></s>!");
  EXPECT_EQ(chat_template_source(folder_.path()), "{{ bos_token }}{{ eos_token }}!");
}

TEST_F(ChatTemplateTest, AWebPageIsNoTemplate) {
  folder_.write("chat_template.jinja", "<!doctype html>\n<html>");
  EXPECT_THAT(nkat::testing::message_of<FormatError>([&] { load(); }),
              HasSubstr("chat_template.jinja: expected a chat template, found a web page; download it again"));
}

TEST_F(ChatTemplateTest, OlderFoldersNameTheirTokensInTheMap) {
  folder_.write("chat_template.jinja", "{{ bos_token }}{{ eos_token }}!");
  folder_.write("special_tokens_map.json", R"({"bos_token":{"content":"<b>"},"eos_token":"<|end|>"})");
  folder_.write("tokenizer_config.json", R"({"bos_token":"<s>","added_tokens_decoder":{}})");
  EXPECT_EQ(load().render({}, false), "<s>!");  // the newer form stands alone, as in transformers
  folder_.write("tokenizer_config.json", R"({"bos_token":"<s>","eos_token":"</s>"})");
  EXPECT_EQ(load().render({}, false), "<b><|end|>!");
  fs::remove(folder_.path() / "tokenizer_config.json");
  EXPECT_EQ(load().render({}, false), "<b><|end|>!");
}

TEST_F(ChatTemplateTest, AnEngineAndTheBuiltInRenderingGiveTheSameTokensAndTargets) {
  const ChatTemplate built_in = load();
  // A comment makes it another source that renders the same.
  const ChatTemplate own(std::string("{# #}") + kPhi35, {{"bos_token", "<s>"}, {"eos_token", "<|endoftext|>"}});
  ASSERT_EQ(own.known(), nullptr);
  const std::vector<Turn> turns = {
      {Role::kSystem, " a\n"}, {Role::kUser, "\n\u3053"},          {Role::kAssistant, "a<|end|> a "},
      {Role::kUser, "h"},      {Role::kAssistant, "hello", false}, {Role::kAssistant, ""}};
  for (const AddedTokens in_content : {AddedTokens::kText, AddedTokens::kControl}) {
    for (const bool prompt : {false, true}) {
      const auto ours = built_in.encode(tokenizer_, turns, in_content, prompt);
      const auto theirs = own.encode(tokenizer_, turns, in_content, prompt);
      EXPECT_EQ(ours.tokens, theirs.tokens);
      EXPECT_EQ(ours.is_target, theirs.is_target);
    }
  }
}

TEST_F(ChatTemplateTest, ATurnThatIsNoTargetStaysAsContext) {
  const std::vector<Turn> turns = {
      {Role::kUser, "h"}, {Role::kAssistant, "hello", false}, {Role::kUser, "h"}, {Role::kAssistant, "hello"}};
  std::vector<Turn> all = turns;
  all[1].is_target = true;
  const auto some = load().encode(tokenizer_, turns, AddedTokens::kText, false);
  EXPECT_EQ(some.tokens, load().encode(tokenizer_, all, AddedTokens::kText, false).tokens);
  EXPECT_THAT(some.is_target, ElementsAre(false, false, false, false, false, false, false, false, false, false, false,
                                          false, true, true, false));
}

TEST_F(ChatTemplateTest, WithoutAControlTokenTargetsEndWithTheWhiteSpaceBehindTheAnswer) {
  const ChatTemplate plain("{% for m in messages %}{{ m.role }}: {{ m.content }}\n\n{% endfor %}", {});
  const std::vector<Turn> turns = {{Role::kAssistant, "a"}, {Role::kUser, "h"}};
  const RenderedConversation rendered = plain.render_parts(turns, false);
  EXPECT_EQ(rendered.text, "assistant: a\n\nuser: h\n\n");
  EXPECT_THAT(plain.end_of_turn_tokens(tokenizer_), ElementsAre());
}

TEST_F(ChatTemplateTest, SaysWithWhichTokensAnAnswerEnds) {
  EXPECT_THAT(load().end_of_turn_tokens(tokenizer_), ElementsAre(307));
  EXPECT_THAT(ChatTemplate(kChatml, {}).end_of_turn_tokens(tokenizer_), ElementsAre(307));
  // In the middle of a conversation one token, at its end another.
  const ChatTemplate two(
      "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% if loop.last %}{{ eos_token }}{% else %}<|end|>"
      "{% endif %}{% endfor %}",
      {{"eos_token", "<|endoftext|>"}});
  EXPECT_THAT(two.end_of_turn_tokens(tokenizer_), ElementsAre(300, 307));
  const ChatTemplate strict(
      "{% if messages[0].role != 'system' %}{{ raise_exception('no') }}{% endif %}" + std::string(kChatml), {});
  EXPECT_THAT(strict.end_of_turn_tokens(tokenizer_), ElementsAre(307));
  EXPECT_THAT(ChatTemplate("{{ raise_exception('no') }}", {}).end_of_turn_tokens(tokenizer_), ElementsAre());
}

TEST_F(ChatTemplateTest, NamesWhatTheRenderingLeavesOut) {
  const auto names = [](const char* source, const std::vector<Turn>& turns) {
    return left_out(ChatTemplate(source, {}).render_parts(turns, false), turns);
  };
  const std::vector<Turn> turns = {
      {Role::kSystem, "s"}, {Role::kUser, "u"}, {Role::kAssistant, "<think>\nwhy so\n</think>\n\na"}};
  EXPECT_THAT(names(kChatml, turns), ElementsAre());
  EXPECT_THAT(names("{% for m in messages %}{% if m.role != 'system' %}{{ m.content }}{% endif %}{% endfor %}", turns),
              ElementsAre("system turn"));
  EXPECT_THAT(names("{% for m in messages %}{{ m.content.split('</think>')[-1] }}{% endfor %}", turns),
              ElementsAre("thought of an assistant turn"));
  EXPECT_THAT(names("{% for m in messages %}{{ m.content.split('<think>')[-1] | trim }}{% endfor %}", turns),
              ElementsAre());
  EXPECT_THAT(names("x", {{Role::kSystem, " \n"}, {Role::kUser, "u"}, {Role::kUser, "v"}}), ElementsAre("user turn"));
}

TEST_F(ChatTemplateTest, ShowsWhatLaterTurnsChange) {
  const ChatTemplate strips(
      "{% for m in messages %}<|{{ m.role }}|>{{ m.content if loop.last else m.content.split('</think>')[-1] }}<|end|>"
      "{% endfor %}",
      {});
  const std::vector<Turn> turns = {{Role::kUser, "u"}, {Role::kAssistant, "w</think>a"}, {Role::kUser, "v"}};
  const auto changed = strips.changed_by_later_turns(strips.render_parts(turns, false), turns);
  ASSERT_TRUE(changed);
  EXPECT_EQ(changed->alone, "<|user|>u<|end|><|assistant|>w</think>a");
  EXPECT_EQ(changed->followed, "<|user|>u<|end|><|assistant|>a");
  const ChatTemplate keeps(kChatml, {});
  EXPECT_FALSE(keeps.changed_by_later_turns(keeps.render_parts(turns, false), turns));
}

TEST_F(ChatTemplateTest, KnowsTheFirstPhi3Form) {
  folder_.write(
      "chat_template.jinja",
      "{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') %}{{'<|user|>' + '\\n' + "
      "message['content'] + '<|end|>' + '\\n' + '<|assistant|>' + '\\n'}}{% elif (message['role'] == 'assistant') "
      "%}{{message['content'] + '<|end|>' + '\\n'}}{% endif %}{% endfor %}");
  const std::vector<Turn> turns = {{Role::kUser, "h"}, {Role::kAssistant, "a"}};
  EXPECT_EQ(load().render(turns, false), "<s><|user|>\nh<|end|>\n<|assistant|>\na<|end|>\n");
  EXPECT_TRUE(load().known()->role_token_follows_user);
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
