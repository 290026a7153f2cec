#include "data/datasets/record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/mutations.h"

namespace nkat::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
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

TEST(Record, TakesPairsUnderTheirOtherUsualNames) {
  EXPECT_THAT(turns_of(R"({"prompt":"u","response":"a"})"), ElementsAre("user=u", "assistant=a"));
  EXPECT_THAT(turns_of(R"({"query":"u","response":"a"})"), ElementsAre("user=u", "assistant=a"));
  EXPECT_THAT(turns_of(R"({"instruction":"u","input":"i","response":"a"})"), ElementsAre("user=u\ni", "assistant=a"));
  EXPECT_THAT(turns_of(R"({"instruction":"u","context":"i","response":"a"})"), ElementsAre("user=u\ni", "assistant=a"));
  EXPECT_THAT(turns_of(R"({"conversation":[{"from":"human","value":"u"}]})"), ElementsAre("user=u"));
  // What had a kind before keeps it.
  EXPECT_EQ(parse(R"({"prompt":"u","response":"a","text":"t"})").kind, RecordKind::kText);
}

TEST(Record, TakesPromptAndCompletionAsListsOfMessages) {
  const std::string line =
      R"({"prompt":[{"role":"system","content":"s"},{"role":"assistant","content":"a"},{"role":"user","content":"u"}],)"
      R"("completion":[{"role":"assistant","content":"b"}]})";
  EXPECT_THAT(turns_of(line), ElementsAre("system=s", "assistant=a", "user=u", "assistant=b"));
  EXPECT_FALSE(parse(line).turns[1].is_target);
  EXPECT_TRUE(parse(line).turns[3].is_target);
}

TEST(Record, JoinsInstructionAndInputWhereBothSaySomething) {
  EXPECT_THAT(turns_of(R"({"instruction":"","input":"i","output":"a"})"), ElementsAre("user=i", "assistant=a"));
  EXPECT_THAT(turns_of(R"({"instruction":"u","input":"i","output":"a"})"), ElementsAre("user=u\ni", "assistant=a"));
}

TEST(Record, PutsHistoryBeforeTheInstruction) {
  const std::string line = R"({"instruction":"u","output":"a","system":"s","history":[["q","r"],["v","w"]]})";
  EXPECT_THAT(turns_of(line),
              ElementsAre("system=s", "user=q", "assistant=r", "user=v", "assistant=w", "user=u", "assistant=a"));
  EXPECT_THAT(parse(line).unused, IsEmpty());
  EXPECT_THAT(parse(R"({"prompt":"u","completion":"a","history":"long"})").unused, ElementsAre("history"));
}

TEST(Record, MakesASystemBesideTheTurnsTheirFirst) {
  for (const char* key : {"system", "system_prompt", "system_message"}) {
    const std::string system = std::string("\"") + key + "\":\"s\"";
    for (const std::string& line :
         {"{\"conversations\":[{\"from\":\"human\",\"value\":\"u\"}]," + system + "}",
          "{" + system + ",\"messages\":[{\"role\":\"user\",\"content\":\"u\"}]}",
          "{" + system +
              ",\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":\"u\"}]}",
          "{" + system +
              ",\"messages\":[{\"role\":\"system\",\"content\":\"\"},{\"role\":\"user\",\"content\":\"u\"}]}",
          "{\"text\":\"<|user|>\\nu<|end|>\"," + system + "}"}) {
      EXPECT_THAT(turns_of(line), ElementsAre("system=s", "user=u")) << line;
      EXPECT_THAT(parse(line).unused, IsEmpty()) << line;
    }
    EXPECT_THAT(turns_of("{\"prompt\":\"u\",\"completion\":\"a\"," + system + "}"),
                ElementsAre("system=s", "user=u", "assistant=a"));
  }
  for (const char* empty : {"\"\"", "null"}) {
    EXPECT_THAT(turns_of(std::string(R"({"messages":[{"role":"user","content":"u"}],"system":)") + empty + "}"),
                ElementsAre("user=u"));
  }
}

TEST(Record, ASystemTurnOfTheConversationStandsAndTheOtherIsNamed) {
  const Record record =
      parse(R"({"system":"t","messages":[{"role":"system","content":"s"},{"role":"user","content":"u"}]})");
  EXPECT_EQ(record.turns[0].content, "s");
  EXPECT_EQ(record.turns.size(), 2u);
  EXPECT_THAT(record.unused, ElementsAre("system"));
  EXPECT_THAT(parse(R"({"text":"t","system":"s"})").unused, ElementsAre("system"));
}

TEST(Record, KeepsARecordMarkedAsContext) {
  for (const char* mark : {R"("weight":0)", R"("train":false)", R"("masked":true)", R"("kto_tag":false)",
                           R"("label":false)", R"("weight":"0")", R"("loss_weight":0.0)"}) {
    const Record turns = parse(std::string(R"({"prompt":"u","completion":"a",)") + mark + "}");
    EXPECT_FALSE(turns.turns[1].is_target) << mark;
    EXPECT_THAT(turns.unused, IsEmpty()) << mark;
  }
  EXPECT_FALSE(parse(R"({"text":"t","weight":0})").is_target);
  for (const char* mark : {R"("weight":1)", R"("train":true)", R"("label":true)", R"("weight":null)", R"("weight":2.5)",
                           R"("mask":"User")"})
    EXPECT_TRUE(parse(std::string(R"({"prompt":"u","completion":"a",)") + mark + "}").turns[1].is_target) << mark;
  // A class of plain text says nothing about learning it, nor does a weight in between.
  EXPECT_TRUE(parse(R"({"text":"t","label":false})").is_target);
  EXPECT_THAT(parse(R"({"text":"t","weight":2.5})").unused, ElementsAre("weight"));
}

TEST(Record, NamesWhatItCarriesAndTrainingDoesNotUse) {
  EXPECT_THAT(
      parse(
          R"({"id":4,"tools":[{"name":"f"}],"images":[],"note":"","x":null,"text":"t","label":"DENY","reasoning":"r"})")
          .unused,
      ElementsAre("id", "tools", "reasoning"));
  EXPECT_THAT(parse(R"({"prompt":"u","completion":"a","chosen":"b","rejected":"c"})").unused,
              ElementsAre("chosen", "rejected"));
  EXPECT_THAT(parse(R"({"text":"t","\u0007)" + std::string(99, 'k') + R"(":1})").unused,
              ElementsAre("?" + std::string(31, 'k') + " ..."));
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
       "'messages' number 1: key 'content': expected a string or text parts, found nothing"},
      {"ContentIsList", R"({"messages":[{"role":"user","content":[]}]})",
       "key 'content': expected a string or text parts, found []"},
      {"ContentIsNull", R"({"messages":[{"role":"user","content":null}]})",
       "key 'content': expected a string or text parts, found null"},
      {"ToolRole", R"({"messages":[{"role":"user","content":"u"},{"role":"tool","content":"x"}]})",
       "number 2: key 'role': expected system, user or assistant, found \"tool\""},
      {"FunctionFrom", R"({"conversations":[{"from":"function","value":"x"}]})",
       "expected human, gpt, user, assistant or system, found \"function\""},
      {"MessageWithoutRole", R"({"conversations":[{"content":"x"}]})", "key 'from': expected a string, found nothing"},
      {"SystemIsNumber", R"({"system":5,"messages":[{"role":"user","content":"x"}]})",
       "key 'system': expected a string, found 5"},
      {"PreferencePair", R"({"prompt":"p","chosen":"c","rejected":"r"})",
       "found the keys prompt, chosen, rejected; preference pairs aren't trained on here"},
      {"PreferencePairBesideTurns", R"({"messages":[{"role":"user","content":"u"}],"chosen":{"value":"c"}})",
       "preference pairs (chosen, rejected) aren't trained on here"},
      {"PreferencePairForTheLastTurn",
       R"({"conversations":[{"from":"human","value":"u"},{"from":"gpt","value":"a"},{"from":"human","value":"v"}],"chosen":{"from":"gpt","value":"c"}})",
       "preference pairs (chosen, rejected) aren't trained on here"},
      {"MarkOfEachTurnBesideThem", R"({"messages":[{"role":"user","content":"u"}],"loss_mask":[0,1]})",
       "key 'loss_mask': expected a mark of the whole record, found [0,1]; mark each turn"},
      {"QuestionAndResponse", R"({"system_prompt":"s","Question":"q","response":"r"})",
       "found the keys system_prompt, Question, response; name them prompt and completion"},
      {"MessagesUnderAnotherName", R"({"id":1,"items":[{"from":"human","value":"u"}]})",
       "found the keys id, items; name the list 'items' messages"},
      {"Segments", R"({"segments":[{"label":true,"text":"u"}]})", "segments aren't read"},
      {"Images", R"({"images":["a.png"],"prompt":"<image>what?","completion":"c"})",
       "key 'images': expected text alone, found [\"a.png\"]"},
      {"TokensOfAnotherProgram", R"({"input_ids":[1],"labels":[1]})", "give their text"},
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

TEST(Record, TellsTheKeysOfAKind) {
  EXPECT_THAT(kind_keys({"id", "output", "instruction"}), ElementsAre("instruction", "output"));
  EXPECT_THAT(kind_keys({"text"}), ElementsAre("text"));
  EXPECT_THAT(kind_keys({"question", "answer"}), IsEmpty());
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
