#include "data/formats/json_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/mutations.h"
#include "tests/support/temporary_folder.h"

namespace nkat::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class JsonListTest : public ::testing::Test {
 protected:
  // "number@line=text" for good records, "number@line!error" for bad ones.
  std::vector<std::string> records(const std::string& bytes) {
    ChunkedFile file(folder_.write("x.json", bytes));
    file.read_more();
    JsonListReader reader(std::move(file));
    std::vector<std::string> all;
    while (const auto one = reader.next()) {
      all.push_back(
          fmt::format("{}@{}{}{}{}", one->number, one->line, one->error.empty() ? '=' : '!', one->text, one->error));
      EXPECT_TRUE(one->error.empty() || one->text.empty());
    }
    EXPECT_EQ(reader.sha256(), sha256_hex(bytes));
    EXPECT_EQ(reader.bytes_read(), bytes.size());
    return all;
  }
  nkat::testing::TemporaryFolder folder_;
};

TEST_F(JsonListTest, GivesTheElementsWithTheirPlaces) {
  EXPECT_THAT(records("[]"), SizeIs(0));
  EXPECT_THAT(records("\xEF\xBB\xBF \n[ ]\n\n"), SizeIs(0));
  EXPECT_THAT(records(R"([{"a":[1,{"b":2}]},{"c":"x"}])"), ElementsAre(R"(1@1={"a":[1,{"b":2}]})", R"(2@1={"c":"x"})"));
  EXPECT_THAT(records("[\n  {\n    \"a\": 1\n  },\r\n  {}\r\n]\r\n"),
              ElementsAre("1@2={\n    \"a\": 1\n  }", "2@5={}"));
  EXPECT_THAT(records(R"([1,"two, ]" , null,[3],true])"),
              ElementsAre("1@1=1", "2@1=\"two, ]\"", "3@1=null", "4@1=[3]", "5@1=true"));
}

TEST_F(JsonListTest, StringsMayHoldWhatLooksLikeTheirEnd) {
  EXPECT_THAT(records(R"([{"a":"}],\"","b":"\\"},{"c":"\\\\\"]"}])"),
              ElementsAre(R"(1@1={"a":"}],\"","b":"\\"})", R"(2@1={"c":"\\\\\"]"})"));
}

TEST_F(JsonListTest, ReadsElementsAcrossItsBuffers) {
  std::string bytes = "[";
  std::vector<std::string> expected;
  for (int i = 0; i < 3000; ++i) {
    const std::string element = fmt::format("{{\"\\\"]\":\"{:x>{}}\"}}", "", i);
    bytes += (i == 0 ? "" : ",\n") + element;
    expected.push_back(fmt::format("{}@{}={}", i + 1, i + 1, element));
  }
  EXPECT_EQ(records(bytes + "]"), expected);
}

TEST_F(JsonListTest, ABrokenElementCostsNoOther) {
  EXPECT_THAT(records("[{\"a\":\"lost},\n{\"b\":1},\n{\"c\":2}]"),
              ElementsAre("1@1!expected the end of a string, found a line break", "2@2={\"b\":1}", "3@3={\"c\":2}"));
  EXPECT_THAT(records("[{\n \"a\": \"lost,\n \"b\": 1\n},\n{\"c\":2}]"),
              ElementsAre("1@1!expected the end of a string, found a line break", "2@5={\"c\":2}"));
  EXPECT_THAT(records("[{\"a\":\"\xFF\"},{}]"),
              ElementsAre(HasSubstr("1@1!expected UTF-8, found other bytes at byte 7"), "2@1={}"));
  const std::string longest = "\"" + std::string(kRecordLimit - 2, 'a') + "\"";
  EXPECT_THAT(records("[" + longest + ",{}]"), ElementsAre("1@1=" + longest, "2@1={}"));
  EXPECT_THAT(records("[{" + longest + longest + "},{}]"),
              ElementsAre(HasSubstr("1@1!expected a record of at most 16 MiB"), "2@1={}"));
}

TEST_F(JsonListTest, NamesWhatBreaksTheList) {
  EXPECT_THAT(records("[{}"),
              ElementsAre("1@1={}", "2@1!expected ] at the end of the list, found the end of the file"));
  EXPECT_THAT(records("[{},\n"),
              ElementsAre("1@1={}", "2@2!expected ] at the end of the list, found the end of the file"));
  EXPECT_THAT(records("["), ElementsAre(HasSubstr("1@1!expected ]")));
  EXPECT_THAT(records("[{},{\"a\":[1,"),
              ElementsAre("1@1={}", "2@1!expected the end of the record, found the end of the file"));
  EXPECT_THAT(records("[{},{\"a\":\"b"), ElementsAre("1@1={}", HasSubstr("2@1!expected the end of the record")));
  EXPECT_THAT(records("[{},]"), ElementsAre("1@1={}", "2@1!expected a record behind the last comma, found ]"));
  EXPECT_THAT(records("[{},,{}]"), ElementsAre("1@1={}", "2@1!expected a record, found a comma", "3@1={}"));
  EXPECT_THAT(records("[,{}]"), ElementsAre("1@1!expected a record, found a comma", "2@1={}"));
  EXPECT_THAT(records("[{} {}]"), ElementsAre("1@1!expected a comma or ] behind the record, found {}]", "2@1={}"));
  EXPECT_THAT(records("[{}}]"), ElementsAre(HasSubstr("1@1!expected a comma or ]"), "2@1=}"));
  EXPECT_THAT(records("[{}]\n[{}]"),
              ElementsAre("1@1={}", "2@2!expected the end of the file behind the list, found more text"));
}

TEST_F(JsonListTest, SurvivesEveryDamage) {
  const std::string bytes = "\xEF\xBB\xBF[{\"text\":\"\u3053\\\"\"},\r\n\n[1,{\"a\":null}], \"x\"]";
  const nkat::testing::Reader read = [this](const std::string& text) {
    const std::size_t first = text.find_first_not_of(" \t\r\n", text.starts_with(kByteOrderMark) ? 3 : 0);
    if (first != std::string::npos && text[first] == '[') records(text);
  };
  nkat::testing::refused_truncations(read, bytes);
  nkat::testing::refused_bit_flips(read, bytes);
  nkat::testing::survive_mutations(read, bytes, 500);
}

}  // namespace
}  // namespace nkat::data
