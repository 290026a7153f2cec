#include "data/text/templates/template_program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/message_of.h"
#include "tests/support/mutations.h"

namespace nkat::data {
namespace {

using nkat::testing::message_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

constexpr const char* kCrashed = "the chat template crashed: it nests or calls itself too deep";
#if defined(__SANITIZE_ADDRESS__)
constexpr bool kAllocatorAborts = true;  // it ends a process that is out of memory, and keeps what was freed
#else
constexpr bool kAllocatorAborts = false;
#endif
constexpr const char* kNoMemory = kAllocatorAborts ? kCrashed : "the chat template took more than 512 MiB of memory";

constexpr const char* kChatml =
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>' + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

const std::vector<Turn> kConversation = {{Role::kSystem, "yes"}, {Role::kUser, "yes"}, {Role::kAssistant, "yes"}};

RenderedConversation render(const std::string& source, const std::vector<Turn>& turns, bool prompt = false) {
  return TemplateProgram(source, {{"bos_token", "<s>"}, {"eos_token", "</s>"}}).render(turns, prompt);
}

// Each part as "turn:text".
std::vector<std::string> parts(const RenderedConversation& rendered) {
  std::vector<std::string> texts;
  for (const RenderedPart& part : rendered.parts)
    texts.push_back(std::to_string(part.turn) + ":" +
                    rendered.text.substr(part.bytes.begin, part.bytes.end - part.bytes.begin));
  return texts;
}

std::string error_of(const std::string& source, const std::vector<Turn>& turns = kConversation) {
  const TemplateProcess process(source, {});
  return message_of<DataError>([&] { process.render(turns, false); });
}

TEST(TemplateProgram, TellsEqualContentsOfTurnsApart) {
  const RenderedConversation rendered = render(kChatml, kConversation, true);
  EXPECT_EQ(rendered.text,
            "<|im_start|>system\nyes<|im_end|>\n<|im_start|>user\nyes<|im_end|>\n<|im_start|>assistant\nyes<|im_end|>\n"
            "<|im_start|>assistant\n");
  EXPECT_THAT(parts(rendered), ElementsAre("0:yes", "1:yes", "2:yes"));
  // The user's content is dropped, and the answer's isn't taken for it.
  EXPECT_THAT(parts(render("{% for m in messages if m.role != 'user' %}{{ m.content }}{% endfor %}", kConversation)),
              ElementsAre("0:yes", "2:yes"));
}

TEST(TemplateProgram, KnowsEachTurnOfALongConversation) {
  std::vector<Turn> turns;
  std::vector<std::string> expected;
  for (int i = 0; i < 100; ++i) {
    turns.push_back({i % 2 == 0 ? Role::kUser : Role::kAssistant, "same"});
    expected.push_back(std::to_string(i) + ":same");
  }
  EXPECT_EQ(parts(render("{% for m in messages %}{{ m.content }}{% endfor %}", turns)), expected);
}

TEST(TemplateProgram, KeepsTheMarksOfWhatIsCutJoinedAndTrimmed) {
  const std::vector<Turn> turns = {{Role::kUser, " a "},
                                   {Role::kAssistant, "<think>\nwhy\n</think>\n\n\u3000so\u3000"}};
  EXPECT_THAT(parts(render("{% set m = messages[1] %}{{ m.content.split('</think>')[0].split('<think>')[-1].strip() }}|"
                           "{{ m.content.split('</think>')[-1] | trim }}",
                           turns)),
              ElementsAre("1:why", "1:so"));
  EXPECT_THAT(parts(render("{{ [messages[0].content, 'x', messages[1].content[:7]] | join('-') }}", turns)),
              ElementsAre("0: a ", "1:<think>"));
  EXPECT_THAT(
      parts(render("{{ (messages[0].content + '\\n\\n' + messages[1].content).replace('so', 'SO')[-4:] }}", turns)),
      ElementsAre("1:\u3000", "1:\u3000"));
}

TEST(TemplateProgram, AnEmptyContentIsWhereItWasPut) {
  const std::vector<Turn> turns = {{Role::kUser, "h"}, {Role::kAssistant, ""}};
  for (const char* source : {"{% for m in messages %}[{{ m.content }}]{% endfor %}",
                             "{% for m in messages %}[{{ m.content | trim }}]{% endfor %}"}) {
    const RenderedConversation rendered = render(source, turns);
    EXPECT_EQ(rendered.text, "[h][]");
    ASSERT_EQ(rendered.parts.size(), 2u) << source;
    EXPECT_EQ(rendered.parts[1].bytes.begin, 4u);
    EXPECT_EQ(rendered.parts[1].bytes.end, 4u);
  }
}

TEST(TemplateProgram, GivesTheVariablesOfTransformers) {
  EXPECT_EQ(render("{{ bos_token }}{{ eos_token }}{{ tools is none }}{{ documents is none }}{{ pad_token is defined }}"
                   "{{ add_generation_prompt }}",
                   kConversation)
                .text,
            "<s></s>TrueTrueFalseFalse");
  EXPECT_THAT(render("{{ strftime_now('%Y') }}", kConversation).text, StartsWith("20"));
  EXPECT_THAT(parts(render("{{ messages[0].role }}", kConversation)), IsEmpty());
}

TEST(TemplateProcess, RendersAsTheProgramDoes) {
  const TemplateProcess process(kChatml, {{"bos_token", "<s>"}});
  for (const bool prompt : {false, true}) {
    const RenderedConversation here = render(kChatml, kConversation, prompt);
    const RenderedConversation there = process.render(kConversation, prompt);
    EXPECT_EQ(there.text, here.text);
    EXPECT_EQ(parts(there), parts(here));
  }
}

TEST(TemplateProcess, NamesWhatATemplateRaises) {
  EXPECT_EQ(error_of("{{ raise_exception('System role not supported') }}"),
            "the chat template raises: System role not supported");
  EXPECT_EQ(error_of("a\nb\n{{ messages[0].content | nothing }}"),
            "the chat template fails in line 3: Unknown (built-in) filter 'nothing' for type String");
  EXPECT_THAT(error_of("{% for m in messages %}"), StartsWith("the chat template can't be parsed: "));
  EXPECT_THAT(error_of("{{ 'a"), StartsWith("the chat template can't be parsed: "));
  EXPECT_EQ(error_of("{{ 99999999999999999999 }}"), "the chat template can't be parsed: a number has too many digits");
  EXPECT_EQ(error_of("\n{{ strftime_now(messages) }}"),
            "the chat template fails in line 2: Function 'strftime_now' expected value of type string, got Array");
  EXPECT_EQ(error_of("{{ raise_exception(' at position x: y') }}"), "the chat template raises:  at position x: y");
  EXPECT_THAT(error_of("x", {{Role::kUser, "\xFF"}}), HasSubstr("not UTF-8 at byte 0"));
}

// What the engine would get wrong without a word.
TEST(TemplateProcess, RefusesWhatItWouldRenderWrongly) {
  EXPECT_EQ(error_of("{{ messages[0].content | format(1) }}"),
            "the chat template fails in line 1: the filter 'format' is not supported");
  EXPECT_EQ(error_of("{{ messages[0].content.lower() }}", {{Role::kUser, "\u00c9a"}}),
            "the chat template fails in line 1: lower() of '\u00c9' is not supported");
}

TEST(TemplateProcess, ADamagedTemplateRendersOrIsRefused) {
  const nkat::testing::Reader render_with = [](const std::string& source) {
    TemplateProcess(source, {}).render(kConversation, false);
  };
  const std::string source =
      "{%- macro m(t) %}{{ t | trim }}{% endmacro -%}{# c #}{% for x in messages %}{{ m(x['content'][1:]) ~ {'a': 1}.a "
      "}}"
      "{% endfor %}";
  EXPECT_GT(nkat::testing::refused_truncations(render_with, source), 90);
  EXPECT_GT(nkat::testing::refused_bit_flips(render_with, source, 0, 40), 100);
}

TEST(TemplateProcess, EndsATemplateThatTakesTooMuch) {
  EXPECT_EQ(error_of("{{ range(1000000000000) | length }}"), kNoMemory);
  EXPECT_EQ(
      error_of(
          "{% set ns = namespace(s='x') %}{% for i in range(40) %}{% set ns.s = ns.s + ns.s %}{% endfor %}{{ ns.s }}"),
      kNoMemory);
  EXPECT_EQ(error_of("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"), kCrashed);
  EXPECT_EQ(error_of("{{ " + std::string(2'000'000, '(')), kCrashed);
}

TEST(TemplateProcess, EndsATemplateThatMakesTooMuchText) {
  if (kAllocatorAborts) GTEST_SKIP() << "the sanitizer runs out of the template's memory first";
  EXPECT_EQ(error_of("{{ 'xxxxxxxx' * 4000000 }}"), "the chat template makes more than 16 MiB of text");
}

TEST(TemplateProcess, EndsATemplateThatGoesOnForever) {
  if (kAllocatorAborts) GTEST_SKIP() << "the sanitizer runs out of the template's memory first";
  EXPECT_EQ(
      error_of("{% for a in range(2000) %}{% for b in range(2000) %}{% for c in range(2000) %}{% endfor %}{% endfor %}"
               "{% endfor %}"),
      "the chat template took more than 10 s of processor time");
}

}  // namespace
}  // namespace nkat::data
