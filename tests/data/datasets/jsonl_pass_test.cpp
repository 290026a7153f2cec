#include "data/datasets/jsonl_pass.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "data/formats/jsonl.h"
#include "tests/support/mutations.h"
#include "tests/support/tiny_tokenizer.h"

namespace nkat::data {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;

class JsonlPassTest : public ::testing::Test {
 protected:
  JsonlPassTest()
      : tokenizer_(nkat::testing::write_tiny_tokenizer(folder_)),
        chat_(ChatTemplate::from_model_folder(folder_.path())),
        encoder_(tokenizer_, chat_, {.max_sequence_length = 8}) {}
  RecordCounts encode(const std::string& lines, BadRecords bad,
                      const std::function<void(const EncodedRecord&)>& handle) {
    JsonlReader reader(folder_.write("x.jsonl", lines));
    return encode_records(reader, encoder_, bad, handle);
  }

  nkat::testing::TemporaryFolder folder_;
  Tokenizer tokenizer_;
  ChatTemplate chat_;
  SampleEncoder encoder_;
};

const std::string kLines =
    "{\"prompt\":\"h\",\"completion\":\"hello\",\"label\":\"DENY\"}\n\nnope\n"
    "{\"prompt\":\"h\",\"completion\":\"hello hello hello\"}\n"
    "{\"messages\":[{\"role\":\"user\",\"content\":\"h\"}]}\n{}\n";

TEST_F(JsonlPassTest, WhatATemplateRaisesMakesABadRecordAndWhatItDropsIsCounted) {
  const ChatTemplate own(
      "{% for m in messages %}{% if m.role == 'user' and m.content == 'no' %}{{ raise_exception('not this') }}"
      "{% elif m.role != 'system' %}{{ m.content if loop.last else m.content | upper }}<|end|>{% endif %}{% endfor %}",
      {});
  const SampleEncoder encoder(tokenizer_, own, {});
  const std::string system = R"({"messages":[{"role":"system","content":"a"},{"role":"user","content":"h"},)";
  JsonlReader reader(
      folder_.write("x.jsonl", R"({"prompt":"no","completion":"a"})"
                               "\n" +
                                   system + R"({"role":"assistant","content":"hello"}]})" + "\n" + system +
                                   R"({"role":"assistant","content":"hello"},{"role":"user","content":"a"}]})"));
  BadRecords bad(1);
  const RecordCounts counts = encode_records(reader, encoder, bad, [](const EncodedRecord&) {});
  EXPECT_EQ(counts.records, 3);
  EXPECT_THAT(counts.bad_messages, ElementsAre(HasSubstr("x.jsonl:1: the chat template raises: not this")));
  EXPECT_EQ(counts.left_out.at("system turn"), 2);
  EXPECT_THAT(counts.changed_text, HasSubstr("x.jsonl:3: 'H<|end|>hello' becomes 'H<|end|>HELLO'"));
  EXPECT_THAT(rendering_warnings(counts), Contains("the chat template leaves the system turn out of 2 records"));
}

TEST_F(JsonlPassTest, CountsRecordsAndHandsOutEachGoodOne) {
  std::vector<std::string> places;
  std::vector<std::int64_t> lengths;
  std::vector<bool> samples;
  const RecordCounts counts = encode(kLines, BadRecords(2), [&](const EncodedRecord& one) {
    places.push_back(one.place.where.substr(one.place.where.rfind('/') + 1));
    lengths.push_back(one.whole_length);
    samples.push_back(one.is_sample);
  });
  EXPECT_THAT(places, ElementsAre("x.jsonl:1", "x.jsonl:4", "x.jsonl:5"));
  EXPECT_THAT(lengths, ElementsAre(8, 10, 5));
  EXPECT_THAT(samples, ElementsAre(true, true, false));
  EXPECT_EQ(counts.records, 5);
  EXPECT_EQ(counts.bad_records, 2);
  EXPECT_EQ(counts.truncated, 1);
  EXPECT_EQ(counts.tokens_cut_off, 2);
  EXPECT_EQ(counts.dropped_without_target, 1);
  EXPECT_EQ(counts.samples, 2);
  EXPECT_EQ(counts.tokens, 16);
  EXPECT_EQ(counts.kinds.at("prompt+completion"), 2);
  EXPECT_EQ(counts.labels.at("DENY"), 1);
  EXPECT_THAT(counts.bad_messages, ElementsAre(HasSubstr("x.jsonl:3: not valid JSON"), HasSubstr("x.jsonl:6: ")));
}

TEST_F(JsonlPassTest, CountsAnswersKeptAsContextAndWhatIsNotUsed) {
  const RecordCounts counts = encode(
      R"({"tools":[1],"messages":[{"role":"user","content":"h","name":"n"},{"role":"assistant","content":"e","weight":0}]})"
      "\n"
      R"({"tools":[2],"id":7,"prompt":"h","completion":"e","train":false})",
      BadRecords(0), [](const EncodedRecord&) {});
  EXPECT_EQ(counts.context_turns, 2);
  EXPECT_EQ(counts.dropped_without_target, 2);
  EXPECT_THAT(counts.unused, ElementsAre(Pair("id", 1), Pair("messages[].name", 1), Pair("tools", 2)));
}

TEST_F(JsonlPassTest, EndsAtTheBadRecordAboveTheLimit) {
  const auto error = [&](std::int64_t allowed) {
    return nkat::testing::complaint_about(
        [&](const std::string& lines) { encode(lines, BadRecords(allowed), [](const EncodedRecord&) {}); }, kLines);
  };
  EXPECT_THAT(error(0), AllOf(HasSubstr("x.jsonl:3: "), HasSubstr("--max-bad-records N")));
  EXPECT_THAT(error(1),
              AllOf(HasSubstr("2 bad records, at most 1"), HasSubstr("x.jsonl:3: "), HasSubstr("x.jsonl:6: ")));
  EXPECT_EQ(error(2), "");
}

TEST_F(JsonlPassTest, KeepsTheFirstMessagesOnly) {
  std::string lines;
  for (int i = 0; i < 9; ++i) lines += "nope\n";
  const RecordCounts counts = encode(lines, BadRecords(kNoLimit, 3), [](const EncodedRecord&) {});
  EXPECT_EQ(counts.bad_records, 9);
  EXPECT_EQ(counts.bad_messages.size(), 3u);
}

TEST_F(JsonlPassTest, ParsesUntilItIsToldToStop) {
  JsonlReader reader(folder_.write("x.jsonl", "1\n2\n3\n4\n"));
  BadRecords bad(1);
  std::vector<int> taken;
  const auto parse = [](std::string_view text, const std::string& where) {
    if (text == "2") throw DataError(where + ": two");
    return std::stoi(std::string(text));
  };
  parse_records(reader, bad, parse, [&](int number, const RecordPlace& place) {
    taken.push_back(number * 10 + static_cast<int>(place.number));
    return number < 3;
  });
  EXPECT_THAT(taken, ElementsAre(11, 33));
  EXPECT_THAT(bad.messages(), ElementsAre(HasSubstr("x.jsonl:2: two")));
}

TEST_F(JsonlPassTest, LetsErrorsThroughThatAreNotTheRecords) {
  JsonlReader reader(folder_.write("x.jsonl", "1\n"));
  BadRecords bad(kNoLimit);
  const auto parse = [](std::string_view, const std::string&) -> int { throw ConfigError("wrong option"); };
  EXPECT_THROW(parse_records(reader, bad, parse, [](int, const RecordPlace&) { return true; }), ConfigError);
}

RecordCounts some_counts() {
  RecordCounts counts;
  std::int64_t number = 0;
  for (const RecordCounter& counter : kRecordCounters) counts.*counter.field = ++number;
  counts.kinds = {{"text", 3}};
  counts.labels = {{"DENY", 2}};
  counts.bad_messages = {"a", "b"};
  return counts;
}

TEST(RecordCounts, ComeBackFromTheirJson) {
  const auto json = to_json(some_counts());
  EXPECT_EQ(json["records"], 1);
  EXPECT_EQ(json["cut"], 5);
  EXPECT_EQ(to_json(record_counts_from(JsonObject(json, "test"))), json);
  for (const RecordCounter& counter : kRecordCounters) {
    auto damaged = json;
    damaged.erase(counter.key);
    EXPECT_THROW(record_counts_from(JsonObject(damaged, "test")), FormatError) << counter.key;
  }
}

TEST(RecordCounts, ARepeatedFileCountsItsSamplesAgainAndItsRecordsOnce) {
  RecordCounts sum = some_counts();
  sum.add(some_counts(), 3);
  EXPECT_EQ(sum.records, 2 * 1);
  EXPECT_EQ(sum.samples, 4 * some_counts().samples);
  EXPECT_EQ(sum.tokens, 4 * some_counts().tokens);
  EXPECT_EQ(sum.kinds.at("text"), 6);
  EXPECT_THAT(sum.bad_messages, ElementsAre("a", "b", "a", "b"));
}

}  // namespace
}  // namespace nkat::data
