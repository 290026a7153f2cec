#include "export/gguf/modelfile.h"

#include <stdexcept>
#include <string_view>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/text/chat_template.h"
#include "tests/support/temporary_folder.h"

namespace nkat::exporting {
namespace {

using data::ChatTemplate;
using data::Role;
using data::Turn;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr const char* kApril2024 =
    "{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') %}{{'<|user|>' + '\\n' + "
    "message['content'] + '<|end|>' + '\\n' + '<|assistant|>' + '\\n'}}{% elif (message['role'] == 'assistant') "
    "%}{{message['content'] + '<|end|>' + '\\n'}}{% endif %}{% endfor %}";
constexpr const char* kJuly2024 =
    "{% for message in messages %}{% if message['role'] == 'system' %}{{'<|system|>\\n' + message['content'] + "
    "'<|end|>\\n'}}{% elif message['role'] == 'user' %}{{'<|user|>\\n' + message['content'] + '<|end|>\\n'}}{% elif "
    "message['role'] == 'assistant' %}{{'<|assistant|>\\n' + message['content'] + '<|end|>\\n'}}{% endif %}{% endfor "
    "%}{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% else %}{{ eos_token }}{% endif %}";
constexpr std::string_view kIfShown = R"({{ if or .Content (ne .Role "system") }})";
constexpr std::string_view kIfUser = R"({{ if eq .Role "user" }})";
constexpr std::string_view kIfAssistant = R"({{ else if eq .Role "assistant" }})";
constexpr std::string_view kEnd = "{{ end }}";
constexpr std::string_view kQuotes = R"(""")";

std::string between(const std::string& text, std::string_view open, std::string_view close) {
  const std::size_t found = text.find(open);
  const std::size_t begin = found + open.size();
  const std::size_t end = found == std::string::npos ? found : text.find(close, begin);
  if (end == std::string::npos) throw std::runtime_error("no " + std::string(open) + " with its end in " + text);
  return text.substr(begin, end - begin);
}

std::string replaced(std::string text, std::string_view word, std::string_view value) {
  for (std::size_t at; (at = text.find(word)) != std::string::npos;) text.replace(at, word.size(), value);
  return text;
}

std::size_t count(const std::string& text, std::string_view word) {
  std::size_t found = 0;
  for (std::size_t at = 0; (at = text.find(word, at)) != std::string::npos; at += word.size()) ++found;
  return found;
}

// The Go template of the file that serves a model with this chat template.
std::string go_template(const ChatTemplate& chat_template) {
  return between(modelfile("model.gguf", chat_template, 16), kQuotes, kQuotes);
}

// Of a model folder whose own template is this Jinja source.
ChatTemplate of_source(const char* source) {
  const nkat::testing::TemporaryFolder folder;
  folder.write("chat_template.jinja", source);
  return ChatTemplate::from_model_folder(folder.path());
}

ChatTemplate phi35() {
  const nkat::testing::TemporaryFolder without_template;
  return ChatTemplate::from_model_folder(without_template.path());
}

// One message through the part of a Go template that stands for its role.
std::string message(const std::string& part, const Turn& turn) {
  return replaced(replaced(part, "{{ .Role }}", data::role_name(turn.role)), "{{ .Content }}", turn.content);
}

std::string after_the_messages(const std::string& go) { return go.substr(go.rfind(kEnd) + kEnd.size()); }

TEST(Modelfile, ServesTheOriginalContextAndAtMost4096Tokens) {
  models::ModelConfig config;
  for (const auto& [original, served] : {std::pair{16, 16}, {4095, 4095}, {4096, 4096}, {8192, 4096}}) {
    config.original_max_position_embeddings = original;
    config.max_position_embeddings = 131072;
    EXPECT_EQ(served_context(config), served);
  }
}

TEST(Modelfile, NamesFileStopsAndContextWithEveryTemplate) {
  for (const ChatTemplate& chat_template : {phi35(), of_source(kJuly2024), of_source(kApril2024)}) {
    const std::string text = modelfile("my model.q8_0.gguf", chat_template, 16);
    EXPECT_THAT(text, StartsWith("FROM ./my model.q8_0.gguf\nTEMPLATE \"\"\""));
    EXPECT_THAT(text, EndsWith("\"\"\"\nPARAMETER stop \"<|end|>\"\nPARAMETER stop \"<|endoftext|>\"\n"
                               "PARAMETER stop \"<|assistant|>\"\nPARAMETER num_ctx 16\n"));
    EXPECT_EQ(count(text, kQuotes), 2u);
  }
}

TEST(Modelfile, SaysSoWhereATemplateHasNoGoForm) {
  const std::string text = modelfile("m.gguf", of_source("{{ messages[0].content }}"), 16, {"<|im_end|>", "</s>"});
  EXPECT_THAT(text, StartsWith("FROM ./m.gguf\n# This model's chat template has no Go form here. "));
  EXPECT_THAT(text, EndsWith("\nPARAMETER stop \"<|im_end|>\"\nPARAMETER stop \"</s>\"\nPARAMETER num_ctx 16\n"));
  EXPECT_EQ(count(text, kQuotes), 0u);
}

TEST(Modelfile, EveryBlockOfATemplateIsClosed) {
  for (const ChatTemplate& chat_template : {phi35(), of_source(kApril2024)}) {
    const std::string go = go_template(chat_template);
    EXPECT_EQ(count(go, "{{- range .Messages }}"), 1u);
    EXPECT_EQ(count(go, "{{ if "), 1u);
    EXPECT_EQ(count(go, kEnd), 2u);
    EXPECT_EQ(count(go, "{{"), count(go, "}}"));
  }
}

TEST(Modelfile, RendersAConversationAsPhi35sTemplateDoes) {
  const ChatTemplate theirs = phi35();
  const std::vector<Turn> turns = {
      {Role::kSystem, "be kind"}, {Role::kUser, "hi"}, {Role::kAssistant, "yo"}, {Role::kUser, "bye"}};
  const std::string go = go_template(theirs);
  std::string ours;
  for (const Turn& turn : turns) ours += message(between(go, kIfShown, kEnd), turn);
  EXPECT_EQ(ours + after_the_messages(go), theirs.render(turns, /*generation_prompt=*/true));
  const ChatTemplate july = of_source(kJuly2024);
  EXPECT_EQ(july.name(), "Phi-3 (July 2024)");
  EXPECT_EQ(go_template(july), go);
}

TEST(Modelfile, LeavesOutWithoutTextWhatPhi35sTemplateLeavesOut) {
  const ChatTemplate theirs = phi35();
  const std::string go = go_template(theirs);
  for (const Role role : {Role::kSystem, Role::kUser, Role::kAssistant}) {
    const std::vector<Turn> turns = {{role, ""}, {Role::kUser, "hi"}};
    std::string ours;
    for (const Turn& turn : turns) {  // what the condition of kIfShown says
      if (!turn.content.empty() || turn.role != Role::kSystem) ours += message(between(go, kIfShown, kEnd), turn);
    }
    EXPECT_EQ(ours + after_the_messages(go), theirs.render(turns, /*generation_prompt=*/true));
  }
}

TEST(Modelfile, RendersAConversationAsTheFirstPhi3TemplateDoes) {
  const ChatTemplate theirs = of_source(kApril2024);
  const std::vector<Turn> turns = {{Role::kUser, "hi"}, {Role::kAssistant, "yo"}, {Role::kUser, "bye"}};
  const std::string go = go_template(theirs);
  std::string ours = go.substr(0, go.find("{{"));
  for (const Turn& turn : turns) {
    const bool user = turn.role == Role::kUser;
    ours += message(user ? between(go, kIfUser, kIfAssistant) : between(go, kIfAssistant, kEnd), turn);
  }
  EXPECT_EQ(ours + after_the_messages(go), theirs.render(turns, /*generation_prompt=*/true));
  EXPECT_THAT(go, ::testing::Not(HasSubstr("system")));  // that template leaves system messages out
}

}  // namespace
}  // namespace nkat::exporting
