#include "data/formats/csv.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/mutations.h"
#include "tests/support/temporary_folder.h"

namespace nkat::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Optional;
using ::testing::SizeIs;

class CsvTest : public ::testing::Test {
 protected:
  // "number@line=text" for good rows, "number@line!error" for bad ones.
  std::vector<std::string> rows(const std::string& bytes, char separator = ',') {
    ChunkedFile file(folder_.write("x.csv", bytes));
    file.read_more();
    CsvReader reader(std::move(file), separator, {"a"});
    std::vector<std::string> all;
    while (const auto row = reader.next()) {
      all.push_back(
          fmt::format("{}@{}{}{}{}", row->number, row->line, row->error.empty() ? '=' : '!', row->text, row->error));
    }
    EXPECT_EQ(reader.sha256(), sha256_hex(bytes));
    return all;
  }
  nkat::testing::TemporaryFolder folder_;
};

TEST_F(CsvTest, MakesAnObjectOfEachRow) {
  EXPECT_THAT(rows("a,b\n1,2\n3,4"), ElementsAre(R"(1@2={"a":"1","b":"2"})", R"(2@3={"a":"3","b":"4"})"));
  EXPECT_THAT(rows("\xEF\xBB\xBF"
                   "a,b\r\n1,2\r\n\r\n3,4\r\n"),
              ElementsAre(R"(1@2={"a":"1","b":"2"})", R"(2@4={"a":"3","b":"4"})"));
  EXPECT_THAT(rows("a,b\n"), SizeIs(0));
  EXPECT_THAT(rows("a"), SizeIs(0));
  EXPECT_THAT(rows("a;b\n1,5;2\n", ';'), ElementsAre(R"(1@2={"a":"1,5","b":"2"})"));
  EXPECT_THAT(rows("a\tb\n1\t2\n", '\t'), ElementsAre(R"(1@2={"a":"1","b":"2"})"));
}

TEST_F(CsvTest, QuotedFieldsHoldSeparatorsLineBreaksAndQuotes) {
  EXPECT_THAT(rows("a,b\n\"1,\r\n\"\"x\"\"\n\",\"\u3053\"\r\n\"\"\"\",y\n"),
              ElementsAre("1@2={\"a\":\"1,\\r\\n\\\"x\\\"\\n\",\"b\":\"\u3053\"}", R"(2@5={"a":"\"","b":"y"})"));
  EXPECT_THAT(rows("\"a\",\"b\"\n5\" disk,' x '\n"), ElementsAre(R"(1@2={"a":"5\" disk","b":"' x '"})"));
}

TEST_F(CsvTest, LeavesEmptyFieldsOutButOfTheRecordsOwnColumns) {
  EXPECT_THAT(rows("a,b\n,\nx,\"\"\n"), ElementsAre(R"(1@2={"a":""})", R"(2@3={"a":"x"})"));
  EXPECT_THAT(rows(",a\n0,x\n"), ElementsAre(R"(1@2={"a":"x"})"));
}

TEST_F(CsvTest, NamesWhatIsWrongWithARow) {
  EXPECT_THAT(rows("a,b\n1\n1,2,3\n4,5\n"),
              ElementsAre("1@2!expected 2 fields, as in the header, found 1",
                          "2@3!expected 2 fields, as in the header, found 3", R"(3@4={"a":"4","b":"5"})"));
  EXPECT_THAT(
      rows("a,b\n\"1\"x,2\n4,5\n"),
      ElementsAre(HasSubstr("1@2!expected ',' or the line's end behind a closing quote, found other text in field 1"),
                  R"(2@3={"a":"4","b":"5"})"));
  EXPECT_THAT(rows("a,b\n4,5\n\"1,2\n3,4\n"),
              ElementsAre(R"(1@2={"a":"4","b":"5"})", "2@3!expected a closing quote, found the end of the file"));
  EXPECT_THAT(rows("a,b\n1,\xFF\n4,5\n"),
              ElementsAre("1@2!expected UTF-8, found other bytes in field 2", R"(2@3={"a":"4","b":"5"})"));
  const std::string longest(kRecordLimit, 'x');
  EXPECT_THAT(rows("a\n" + longest + "\n"), ElementsAre("1@2={\"a\":\"" + longest + "\"}"));
  EXPECT_THAT(rows("a\n\"" + longest + "\nx\"\n4\n"),
              ElementsAre("1@2!expected a row of at most 16 MiB, found a longer one", R"(2@4={"a":"4"})"));
}

TEST_F(CsvTest, ReadsRowsAcrossItsBuffers) {
  std::string bytes = "a,b\r\n";
  std::vector<std::string> expected;
  for (int i = 1; i <= 3000; ++i) {
    bytes += fmt::format("\"{:x>{}}\"\"\",\r\n", "", i);
    expected.push_back(fmt::format("{}@{}={{\"a\":\"{:x>{}}\\\"\"}}", i, i + 1, "", i));
  }
  EXPECT_EQ(rows(bytes), expected);
}

TEST_F(CsvTest, ReadsAHeaderOnlyWhereThereIsOne) {
  EXPECT_THAT(csv_header("\xEF\xBB\xBFx, \"y z\" ,\r\n1,2,3", ','), Optional(ElementsAre("x", "\"y z\"", "")));
  EXPECT_THAT(csv_header("\"x\ny\"\n", ','), Optional(ElementsAre("x\ny")));
  EXPECT_EQ(csv_header("\"x\n", ','), std::nullopt);
  EXPECT_EQ(csv_header("\xFF\n", ','), std::nullopt);
  EXPECT_EQ(csv_header(std::string(5000, ','), ','), std::nullopt);
  EXPECT_THAT(nkat::testing::complaint_about([&](const std::string& text) { rows(text); }, "a,b,a\n"),
              HasSubstr("x.csv: the CSV header has the column 'a' twice"));
  EXPECT_THAT(nkat::testing::complaint_about([&](const std::string& text) { rows(text); }, "\"a\n"),
              HasSubstr("expected a CSV header"));
}

TEST_F(CsvTest, SurvivesEveryDamage) {
  const std::string bytes =
      "\xEF\xBB\xBF"
      "a,b,\r\n\"1,\"\"\n\u3053\",2,\r\n\nx,y,z";
  const nkat::testing::Reader read = [this](const std::string& text) { rows(text); };
  nkat::testing::refused_truncations(read, bytes);
  nkat::testing::refused_bit_flips(read, bytes);
  nkat::testing::survive_mutations(read, bytes, 500);
}

}  // namespace
}  // namespace nkat::data
