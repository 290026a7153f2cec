#include "data/datasets/record_messages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/message_of.h"

namespace nkat::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using Json = nlohmann::ordered_json;

struct Found {
  std::vector<std::string> turns;  // "user=text", "assistant-text" where it is no target
  std::vector<std::string> unused;
};

// The list under this key, given as JSON.
Found read(const std::string& list, const char* key = "messages") {
  const Json json = {{key, Json::parse(list)}};
  RecordFields fields(json, "x:1");
  Found found;
  for (const Turn& turn : read_messages(fields, key))
    found.turns.push_back(std::string(role_name(turn.role)) + (turn.is_target ? "=" : "-") + turn.content);
  found.unused = fields.unused();
  return found;
}

std::string complaint(const std::string& message) {
  return nkat::testing::message_of<FormatError>([&] { read("[" + message + "]"); });
}

TEST(RecordMessages, TakeTheUsualNamesUnderBothKeys) {
  for (const char* key : {"messages", "conversations"}) {
    EXPECT_THAT(
        read(R"([{"role":"system","content":"s"},{"role":"user","content":"u"},{"role":"assistant","content":"a"}])",
             key)
            .turns,
        ElementsAre("system=s", "user=u", "assistant=a"));
    EXPECT_THAT(read(R"([{"from":"human","value":"u"},{"from":"gpt","value":"a"}])", key).turns,
                ElementsAre("user=u", "assistant=a"));
    EXPECT_THAT(read(R"([{"role":"human","value":"u"},{"from":"assistant","content":"a"}])", key).turns,
                ElementsAre("user=u", "assistant=a"));
  }
  for (const char* name : {"bot", "model", "chatbot", "chatgpt", "Assistant", "GPT"})
    EXPECT_THAT(read(std::string(R"([{"from":")") + name + R"(","value":"a"}])").turns, ElementsAre("assistant=a"));
  EXPECT_THAT(read(R"([{"role":"developer","content":"s"},{"role":"prompter","text":"u"}])").turns,
              ElementsAre("system=s", "user=u"));
}

TEST(RecordMessages, TakeTheKeyThatHasAValue) {
  EXPECT_THAT(
      read(
          R"([{"role":null,"content":null,"from":"human","value":"u"},{"role":"ai","content":"a","from":null,"value":null}])")
          .turns,
      ElementsAre("user=u", "assistant=a"));
}

TEST(RecordMessages, TakeAPartAloneAndThoseOfAnswers) {
  EXPECT_THAT(read(R"([{"role":"user","content":{"type":"text","text":"u"}}])").turns, ElementsAre("user=u"));
  EXPECT_THAT(read(R"([{"role":"user","content":[{"type":"input_text","text":"u"}]},)"
                   R"({"role":"assistant","content":[{"type":"output_text","text":"a","annotations":[]}]}])")
                  .turns,
              ElementsAre("user=u", "assistant=a"));
  const Found image = read(R"([{"role":"user","content":[{"type":"text","text":"u","image_url":"x","audio":null}]}])");
  EXPECT_THAT(image.turns, ElementsAre("user=u"));
  EXPECT_THAT(image.unused, ElementsAre("messages[].content[].image_url"));
}

TEST(RecordMessages, JoinTextParts) {
  EXPECT_THAT(
      read(R"([{"role":"user","content":[{"type":"text","text":"a "},"b",{"type":"text","value":"c"},{"text":"d"}]}])")
          .turns,
      ElementsAre("user=a bcd"));
}

TEST(RecordMessages, MayBeTheTextOfAList) {
  EXPECT_THAT(read(R"("[{\"role\":\"user\",\"content\":\"u\"}]")").turns, ElementsAre("user=u"));
  EXPECT_THAT(nkat::testing::message_of<FormatError>([] { read(R"("[{'role': 'user'}]")"); }),
              HasSubstr("x:1: 'messages': not valid JSON"));
}

TEST(RecordMessages, AMarkedAnswerStaysAsContext) {
  for (const char* mark :
       {R"("weight":0)", R"("weight":0.0)", R"("weight":false)", R"("train":false)", R"("training":0)",
        R"("train_on_turn":false)", R"("loss":false)", R"("loss_weight":0.0)", R"("learn":"false")", R"("masked":true)",
        R"("mask":1)", R"("ignore_loss":true)", R"("supervised":false)", R"("has_loss":0)", R"("skip_loss":true)",
        R"("weight":1,"train":false)"}) {
    const Found found =
        read(std::string(R"([{"role":"assistant","content":"a",)") + mark + R"(},{"role":"assistant","content":"b"}])");
    EXPECT_THAT(found.turns, ElementsAre("assistant-a", "assistant=b")) << mark;
    EXPECT_THAT(found.unused, IsEmpty()) << mark;
  }
  for (const char* mark :
       {R"("weight":1)", R"("weight":null)", R"("train":true)", R"("masked":false)", R"("loss":1.0)"})
    EXPECT_THAT(read(std::string(R"([{"role":"assistant","content":"a",)") + mark + "}]").turns,
                ElementsAre("assistant=a"));
}

TEST(RecordMessages, NameWhatTheyCarryAndTrainingDoesNotUse) {
  EXPECT_THAT(
      read(
          R"([{"role":"user","content":"u","name":"n","weight":1},{"role":"assistant","content":"a","reasoning_content":"r","tool_calls":[],"refusal":null}])")
          .unused,
      ElementsAre("messages[].name", "messages[].reasoning_content", "messages[].weight"));
}

TEST(RecordMessages, AreRefusedWithWhatWasFound) {
  EXPECT_THAT(complaint(R"({"role":"assistant","content":null})"),
              HasSubstr("x:1: 'messages' number 1: key 'content': expected a string or text parts, found null"));
  EXPECT_THAT(complaint(R"({"role":"assistant","content":5})"), HasSubstr("found 5"));
  EXPECT_THAT(complaint(R"({"system":"","input":"x","output":"y"})"),
              HasSubstr("number 1: expected the keys role and content, found the keys system, input, output"));
  EXPECT_THAT(complaint(R"({"role":"user","content":{"image":"x"}})"),
              HasSubstr(R"(key 'content': expected a string or text parts, found {"image":"x"})"));
  EXPECT_THAT(
      complaint(R"({"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]})"),
      HasSubstr("part 1 of 'content': expected text, found a part of type 'image_url'; this model reads text alone"));
  EXPECT_THAT(complaint(R"({"role":"user","content":["a",5]})"),
              HasSubstr("part 2 of 'content': expected a JSON object, found 5"));
  EXPECT_THAT(complaint(R"({"role":"user","content":[{"type":"text"}]})"),
              HasSubstr("key 'text': expected a string, found nothing"));
  EXPECT_THAT(
      complaint(R"({"role":"tool","content":"x"})"),
      HasSubstr("key 'role': expected system, user or assistant, found \"tool\"; tool calls aren't trained on here"));
  EXPECT_THAT(complaint(R"({"role":"assistant","content":null,"tool_calls":[{"id":"c"}]})"),
              HasSubstr("key 'tool_calls': expected an answer in text, found [{\"id\":\"c\"}]; tool calls"));
  for (const char* value : {"0.5", "2", "\"no\"", "[]"}) {
    EXPECT_THAT(complaint(std::string(R"({"role":"assistant","content":"a","weight":)") + value + "}"),
                HasSubstr(std::string("key 'weight': expected 0, 1, true or false, found ") + value));
  }
  EXPECT_THAT(complaint(R"({"role":"assistant","content":"a","train_detail":[{"begin_offset":0}]})"),
              HasSubstr("key 'train_detail': expected a mark of the whole turn"));
}

}  // namespace
}  // namespace nkat::data
