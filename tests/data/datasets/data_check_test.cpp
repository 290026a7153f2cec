#include "data/datasets/data_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/support/tiny_tokenizer.h"

namespace nkat::data {
namespace {

using ::testing::HasSubstr;

class DataCheckTest : public ::testing::Test {
 protected:
  DataCheckTest()
      : tokenizer_(nkat::testing::write_tiny_tokenizer(folder_)),
        chat_(ChatTemplate::from_model_folder(folder_.path())),
        encoder_(tokenizer_, chat_, {.max_sequence_length = 8}),
        checker_(tokenizer_, encoder_) {}
  DataCheck check(const std::string& lines) { return checker_.check(folder_.write("x.jsonl", lines).string()); }

  nkat::testing::TemporaryFolder folder_;
  Tokenizer tokenizer_;
  ChatTemplate chat_;
  SampleEncoder encoder_;
  DataChecker checker_;
};

TEST_F(DataCheckTest, CountsWhatAFileHolds) {
  const DataCheck found = check(
      "{\"prompt\":\"h\",\"completion\":\"hello\",\"label\":\"DENY\"}\n"
      "{\"prompt\":\"h\",\"completion\":\"hello\"}\nnope\n"
      "{\"prompt\":\"h\",\"completion\":\"hello hello hello\"}\n"
      "{\"text\":\"<|user|>\\nhello<|end|>\"}\n");
  EXPECT_EQ(found.records, 5);
  EXPECT_EQ(found.bad_records, 1);
  EXPECT_EQ(found.duplicates, 1);
  EXPECT_EQ(found.truncated, 1);
  EXPECT_EQ(found.tokens_cut_off, 2);
  EXPECT_EQ(found.rendered, 1);
  EXPECT_EQ(found.dropped_without_target, 1);
  EXPECT_EQ(found.samples, 3);
  EXPECT_EQ(found.tokens, 24);
  EXPECT_EQ(found.target_tokens, 2 + 2 + 3);
  EXPECT_EQ(found.labels.at("DENY"), 1);
  EXPECT_EQ(found.length_percentiles.at(50), 8);
  EXPECT_EQ(found.length_percentiles.at(100), 10);
  EXPECT_THAT(found.bad_messages.at(0), HasSubstr("x.jsonl:3: not valid JSON"));
}

TEST_F(DataCheckTest, ShowsASampleWithItsTargetsBracketed) {
  const DataCheck found = check("{\"prompt\":\"h\",\"completion\":\"hello\"}\n");
  EXPECT_EQ(found.sample_text, "<|user|> h<|end|><|assistant|>\u27E6 hello<|end|>\u27E7<|endoftext|>");
  EXPECT_THAT(to_text(found), HasSubstr(found.sample_text));
  EXPECT_EQ(to_json(found)["sample"]["text"], found.sample_text);
}

TEST_F(DataCheckTest, SaysWhatTheTemplateLeavesOut) {
  const ChatTemplate drops("{% for m in messages if m.role != 'system' %}{{ m.content }}<|end|>{% endfor %}", {});
  const SampleEncoder encoder(tokenizer_, drops, {});
  const std::string line = R"({"instruction":"h","output":"a","system":"hello"})";
  const DataCheck found = DataChecker(tokenizer_, encoder).check(folder_.write("x.jsonl", line).string());
  EXPECT_THAT(to_text(found), HasSubstr("template    the chat template leaves the system turn out of 1 records"));
  EXPECT_EQ(to_json(found)["left_out"]["system turn"], 1);
}

TEST_F(DataCheckTest, FindsDuplicatesAcrossFiles) {
  check("{\"text\":\"a\"}\n");
  EXPECT_EQ(check("{\"text\":\"a\"}\n").duplicates, 1);
}

}  // namespace
}  // namespace nkat::data
