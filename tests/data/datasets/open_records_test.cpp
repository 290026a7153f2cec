#include "data/datasets/open_records.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "data/datasets/record.h"
#include "tests/support/mutations.h"
#include "tests/support/temporary_folder.h"

namespace nkat::data {
namespace {

using namespace std::string_literals;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class OpenRecordsTest : public ::testing::Test {
 protected:
  // The records' texts, or "!error".
  std::vector<std::string> records(const std::string& bytes) {
    const auto source = open_records(folder_.write("x.txt", bytes));
    std::vector<std::string> all;
    while (const auto one = source->next()) {
      places_.push_back(source->where(*one).substr(folder_.path().string().size() + 1));
      all.push_back(one->error.empty() ? std::string(one->text) : "!" + one->error);
    }
    return all;
  }
  std::string complaint(const std::string& bytes) {
    return nkat::testing::complaint_about([&](const std::string& text) { records(text); }, bytes);
  }
  nkat::testing::TemporaryFolder folder_;
  std::vector<std::string> places_;
};

TEST_F(OpenRecordsTest, TellsTheFormatsApartByTheirContent) {
  EXPECT_THAT(records("\n{\"text\":\"a\"}\n{\"text\":\"b\"}"), ElementsAre(R"({"text":"a"})", R"({"text":"b"})"));
  EXPECT_THAT(records("\xEF\xBB\xBF\n [{\"text\":\"a\"},\n{\"text\":\"b\"}]"),
              ElementsAre(R"({"text":"a"})", R"({"text":"b"})"));
  EXPECT_THAT(records("text\r\na\r\nb\r\n"), ElementsAre(R"({"text":"a"})", R"({"text":"b"})"));
  EXPECT_THAT(places_, ElementsAre("x.txt:2", "x.txt:3", "x.txt:2 (record 1)", "x.txt:3 (record 2)",
                                   "x.txt:2 (record 1)", "x.txt:3 (record 2)"));
  EXPECT_TRUE(records("").empty());
  EXPECT_TRUE(records("\xEF\xBB\xBF \n").empty());
  EXPECT_THAT(records("nope\nnope\n"), ElementsAre("nope", "nope"));
  EXPECT_THAT(records("a, b\n{\"text\":\"a\"}\n"), ElementsAre("a, b", R"({"text":"a"})"));
}

TEST_F(OpenRecordsTest, TakesTheSeparatorThatNamesAKind) {
  EXPECT_THAT(records("id;instruction;output\n1;u, v;a"),
              ElementsAre(R"({"id":"1","instruction":"u, v","output":"a"})"));
  EXPECT_THAT(records("prompt\tcompletion\nu\t\n"), ElementsAre(R"({"prompt":"u","completion":""})"));
  EXPECT_THAT(records("instruction,input,output\nu,,\n"), ElementsAre(R"({"instruction":"u","output":""})"));
}

TEST_F(OpenRecordsTest, AHeaderThatNamesNoKindIsRefusedWithThoseKnown) {
  EXPECT_THAT(
      complaint("question,reply\nq,r\n"),
      AllOf(HasSubstr("x.txt: expected JSON Lines, one JSON list, or CSV with a header, found a first line with the "
                      "names question, reply; name the columns of the CSV by a kind of record: messages,"),
            HasSubstr("instruction+output or text")));
  EXPECT_THAT(complaint("a;b\n"), HasSubstr("the names a, b"));
}

TEST_F(OpenRecordsTest, AnObjectAroundAListOrOverLinesIsNamedWithItsCommand) {
  for (const char* text : {R"({"data":[{"text":"a"}]})", "{\n  \"data\": [\n    {\"text\": \"a\"}\n  ]\n}\n",
                           R"({"type":"x", "data" : [ {"text":"a)"}) {
    EXPECT_THAT(complaint(text),
                AllOf(HasSubstr("found one JSON object with a list 'data'; make JSON Lines of it: jq -c "
                                "'.[\"data\"][]' "),
                      HasSubstr("/x.records.jsonl")))
        << text;
  }
  EXPECT_THAT(complaint("{\n \"text\":\n \"a\"\n}\n{\n"),
              AllOf(HasSubstr("found a JSON object over several lines"), HasSubstr("jq -c . ")));
}

TEST_F(OpenRecordsTest, ABrokenFirstLineIsABadRecordOnly) {
  for (const char* line : {"{oops", R"({"text":"a)", R"({"text":"a",)", R"({"turns":[{"a":1}]})"}) {
    EXPECT_THAT(records(std::string(line) + "\n{\"text\":\"b\"}\n"), ElementsAre(line, R"({"text":"b"})")) << line;
  }
  EXPECT_THAT(records(R"({"text":"a)"), ElementsAre(R"({"text":"a)"));
  EXPECT_THAT(records(R"({"messages":[{"role":"user"}]})"), ElementsAre(R"({"messages":[{"role":"user"}]})"));
  const std::string long_record = R"({"sources":[{"x":")" + std::string(3 << 20, 'x') + R"("}],"text":"a"})";
  EXPECT_THAT(records(long_record + "\n"), ElementsAre(long_record));
}

TEST_F(OpenRecordsTest, AForeignFormatIsNamedWithoutTheAdviceForBadRecords) {
  for (const auto& [bytes, name] : {std::pair{"\x1F\x8B\x08\0"s, "a gzip file"},
                                    {"PAR1\x15"s, "a parquet file"},
                                    {"\xFF\xFE{\0"s, "UTF-16"},
                                    {"\xFE\xFF\0{"s, "UTF-16"}})
    EXPECT_THAT(complaint(bytes), AllOf(HasSubstr(std::string("found ") + name + "; "), Not(HasSubstr("bad-records"))));
}

TEST_F(OpenRecordsTest, SurvivesEveryDamage) {
  for (const std::string bytes :
       {"[{\"text\":\"\u3053\"},\n{\"prompt\":\"a\",\"completion\":\"b\"}]", "text,\"id\"\r\n\"a\n\"\"b\",1\r\n",
        "{\"text\":\"a\"}\n{\"data\":[{}]}", "{\n\"data\": [{\"a\": 1}]}"}) {
    const nkat::testing::Reader read = [this](const std::string& text) {
      for (const std::string& one : records(text)) parse_record(one, "x");
    };
    nkat::testing::refused_truncations(read, bytes);
    nkat::testing::refused_bit_flips(read, bytes);
    nkat::testing::survive_mutations(read, bytes, 300);
  }
}

}  // namespace
}  // namespace nkat::data
