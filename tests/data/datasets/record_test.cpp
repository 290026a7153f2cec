#include "data/datasets/record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/mutations.h"

namespace nkat::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

Record parse(const std::string& line) { return parse_record(line, "train.jsonl:7"); }

std::vector<std::string> turns_of(const std::string& line) {
  std::vector<std::string> turns;
  for (const Turn& turn : parse(line).turns) turns.push_back(std::string(role_name(turn.role)) + "=" + turn.content);
  return turns;
}

TEST(Record, ReadsEveryKind) {
  EXPECT_THAT(
      turns_of(
          R"({"messages":[{"role":"system","content":"s"},{"role":"user","content":"u"},{"role":"assistant","content":"a"}]})"),
      ElementsAre("system=s", "user=u", "assistant=a"));
  EXPECT_THAT(
      turns_of(
          R"({"conversations":[{"from":"system","value":"s"},{"from":"human","value":"u"},{"from":"gpt","value":"a"}]})"),
      ElementsAre("system=s", "user=u", "assistant=a"));
  EXPECT_THAT(turns_of(R"({"prompt":"u","completion":"a"})"), ElementsAre("user=u", "assistant=a"));
  EXPECT_THAT(turns_of(R"({"instruction":"u","output":"a"})"), ElementsAre("user=u", "assistant=a"));
  EXPECT_THAT(turns_of(R"({"instruction":"u","input":"i","system":"s","output":"a"})"),
              ElementsAre("system=s", "user=u\ni", "assistant=a"));
  EXPECT_THAT(turns_of(R"({"instruction":"u","input":"","system":null,"output":"a"})"),
              ElementsAre("user=u", "assistant=a"));
  EXPECT_TRUE(parse(R"({"text":"t"})").turns.empty());
  EXPECT_EQ(parse(R"({"text":"t"})").text, "t");
}

TEST(Record, TakesTheFirstKindThatIsThere) {
  EXPECT_EQ(parse(R"({"text":"t","instruction":"u","output":"a"})").kind, RecordKind::kInstruction);
  EXPECT_EQ(parse(R"({"instruction":"u","text":"t"})").kind, RecordKind::kText);
  EXPECT_EQ(parse(R"({"prompt":"p","text":"t"})").kind, RecordKind::kText);
  EXPECT_EQ(parse(R"({"messages":null,"prompt":"p","completion":"c"})").kind, RecordKind::kPromptCompletion);
  EXPECT_EQ(parse(R"({"instruction":"u","output":"a","prompt":"p","completion":"c"})").kind,
            RecordKind::kPromptCompletion);
  EXPECT_EQ(parse(R"({"text":"t","conversations":[{"from":"gpt","value":"v"}]})").kind, RecordKind::kConversations);
  EXPECT_EQ(parse(R"({"conversations":[{"from":"gpt","value":"v"}],"messages":[{"role":"user","content":"c"}]})").kind,
            RecordKind::kMessages);
}

TEST(Record, KeepsOtherKeysAsMetadata) {
  EXPECT_EQ(parse(R"({"text":"t","id":4,"label":"DENY"})").metadata.dump(), R"({"id":4,"label":"DENY"})");
  EXPECT_EQ(parse(R"({"instruction":"u","output":"a","text":"t"})").metadata.dump(), R"({"text":"t"})");
}

TEST(Record, KnowsTheFourClasses) {
  EXPECT_EQ(parse(R"({"text":"t","label":"ALLOW"})").label, "ALLOW");
  EXPECT_EQ(parse(R"({"text":"t","four_class_label":"REFUSE"})").label, "REFUSE");
  EXPECT_EQ(parse(R"({"text":"t","label":3,"four_class_label":"ESCALATION"})").label, "ESCALATION");
  EXPECT_EQ(parse(R"({"text":"t","label":"positive"})").label, "");
}

TEST(Record, ParsesRenderedTextAndOutputBackIntoTurns) {
  EXPECT_THAT(turns_of(R"({"text":"<|user|>\nu<|end|>\n<|assistant|>\na<|end|>"})"),
              ElementsAre("user=u", "assistant=a"));
  EXPECT_TRUE(parse(R"({"text":"<|user|>\nu<|end|>"})").was_rendered);
  EXPECT_THAT(turns_of(R"({"instruction":"i","output":"<|assistant|>\na<|end|>\n<|endoftext|>"})"),
              ElementsAre("user=i", "assistant=a"));
  EXPECT_THAT(turns_of(R"({"instruction":"i","system":"s","output":"<|user|>u<|end|><|assistant|>a<|end|>"})"),
              ElementsAre("system=s", "user=u", "assistant=a"));
  EXPECT_THAT(turns_of(R"({"instruction":"i","system":"s","output":"<|system|>z<|end|><|assistant|>a<|end|>"})"),
              ElementsAre("system=z", "user=i", "assistant=a"));
  EXPECT_FALSE(parse(R"({"instruction":"i","output":"see <|user|>"})").was_rendered);
}

TEST(Record, RefusesEachBadLineByName) {
  const struct {
    const char* name;
    std::string line;
    const char* message;
  } bad[] = {
      {"NoJson", "hello", "not valid JSON at byte"},
      {"Cut", R"({"text":"a)", "not valid JSON"},
      {"TwoObjects", R"({"text":"a"}{"text":"b"})", "not valid JSON"},
      {"List", R"(["text"])", "expected a JSON object, found [\"text\"]"},
      {"Number", "5", "expected a JSON object, found 5"},
      {"Null", "null", "expected a JSON object, found null"},
      {"KeyTwice", R"({"text":"a","text":"b"})", "duplicate key 'text'"},
      {"Deep", R"({"text":)" + std::string(100, '[') + std::string(100, ']') + "}", "nested deeper"},
      {"LoneSurrogate", R"({"text":"\ud800"})", "not valid JSON"},
      {"NoKeys", "{}",
       "expected one of messages, conversations, prompt+completion, instruction+output or text, found no keys"},
      {"OtherKeys", R"({"question":"q","answer":"a"})", "found the keys question, answer"},
      {"InstructionAlone", R"({"instruction":"u"})", "expected one of messages"},
      {"TextIsNumber", R"({"text":5})", "key 'text': expected a string, found 5"},
      {"TextIsEmpty", R"({"text":""})", "key 'text': expected at least one character"},
      {"PromptIsList", R"({"prompt":[],"completion":"c"})", "key 'prompt': expected a string, found []"},
      {"OutputIsObject", R"({"instruction":"u","output":{}})", "key 'output': expected a string, found {}"},
      {"InputIsNumber", R"({"instruction":"u","input":1,"output":"a"})", "key 'input': expected a string, found 1"},
      {"MessagesIsText", R"({"messages":"hi"})", "key 'messages': expected a list of at least one message"},
      {"MessagesIsEmpty", R"({"messages":[]})", "expected a list of at least one message, found []"},
      {"MessageIsText", R"({"messages":["hi"]})", "'messages' number 1: expected a JSON object, found \"hi\""},
      {"MessageWithoutContent", R"({"messages":[{"role":"user"}]})",
       "'messages' number 1: key 'content': expected a string, found nothing"},
      {"ContentIsList", R"({"messages":[{"role":"user","content":[]}]})", "key 'content': expected a string, found []"},
      {"ContentIsNull", R"({"messages":[{"role":"user","content":null}]})",
       "key 'content': expected a string, found null"},
      {"ToolRole", R"({"messages":[{"role":"user","content":"u"},{"role":"tool","content":"x"}]})",
       "number 2: key 'role': expected system, user or assistant, found \"tool\""},
      {"HumanInMessages", R"({"messages":[{"role":"human","content":"u"}]})", "found \"human\""},
      {"FunctionFrom", R"({"conversations":[{"from":"function","value":"x"}]})",
       "expected human, gpt, user, assistant or system, found \"function\""},
      {"MessagesInConversations", R"({"conversations":[{"role":"user","content":"x"}]})",
       "key 'from': expected a string, found nothing"},
      {"RenderedWithStrayText", R"({"text":"<|user|>u<|end|>stray"})", "rendered conversation"},
      {"RenderedWithoutTurn", R"({"text":"<|assistant|>\n"})",
       "rendered conversation: expected at least one message, found none"},
  };
  for (const auto& one : bad) {
    const std::string message = nkat::testing::complaint_about([](const std::string& line) { parse(line); }, one.line);
    EXPECT_THAT(message, HasSubstr(one.message)) << one.name;
    EXPECT_THAT(message, StartsWith("train.jsonl:7: ")) << one.name;
  }
}

TEST(Record, SurvivesEveryTruncationAndBitFlip) {
  const std::string line =
      R"({"instruction":"u","system":"s","output":"<|assistant|>\na<|end|>","label":"DENY","n":[1,{"x":null}]})";
  const nkat::testing::Reader read = [](const std::string& text) { parse(text); };
  EXPECT_EQ(nkat::testing::refused_truncations(read, line), static_cast<int>(line.size()));
  EXPECT_GT(nkat::testing::refused_bit_flips(read, line), 100);
}

}  // namespace
}  // namespace nkat::data
