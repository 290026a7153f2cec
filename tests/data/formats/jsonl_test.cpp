#include "data/formats/jsonl.h"

#include <sys/stat.h>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/files/sha256.h"
#include "tests/support/mutations.h"
#include "tests/support/temporary_folder.h"

namespace nkat::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class JsonlTest : public ::testing::Test {
 protected:
  // "number=text" for good lines, "number!error" for bad ones.
  std::vector<std::string> lines(const std::string& bytes) {
    JsonlReader reader(folder_.write("x.jsonl", bytes));
    std::vector<std::string> all;
    while (const auto line = reader.next()) {
      all.push_back(fmt::format("{}{}{}{}", line->number, line->error.empty() ? '=' : '!', line->text, line->error));
    }
    EXPECT_EQ(reader.sha256(), sha256_hex(bytes));
    return all;
  }
  nkat::testing::TemporaryFolder folder_;
};

TEST_F(JsonlTest, ReadsEveryKindOfLineEnd) {
  EXPECT_THAT(lines("{}\n{1}\n"), ElementsAre("1={}", "2={1}"));
  EXPECT_THAT(lines("{}\r\n{1}\r\n"), ElementsAre("1={}", "2={1}"));
  EXPECT_THAT(lines("\xEF\xBB\xBF{}\n{1}"), ElementsAre("1={}", "2={1}"));
  EXPECT_THAT(lines("\n  \n{}\n\r\n{1}\n\n"), ElementsAre("3={}", "5={1}"));
  EXPECT_TRUE(lines("").empty());
  EXPECT_TRUE(lines("\xEF\xBB\xBF").empty());
}

TEST_F(JsonlTest, KeepsLineSeparatorsOfUnicodeInTheLine) {
  EXPECT_THAT(lines("{\u2028\u0085}\n"), ElementsAre("1={\u2028\u0085}"));
}

TEST_F(JsonlTest, MarksLinesThatAreNotUtf8) {
  EXPECT_THAT(lines("{}\nab\xFF\n{}"),
              ElementsAre("1={}", HasSubstr("2!expected UTF-8, found other bytes at byte 3 of the line"), "3={}"));
  for (const char* bad : {"\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE3\x81", "\x80"}) {
    EXPECT_THAT(lines(bad), ElementsAre(HasSubstr("expected UTF-8")));
  }
}

TEST_F(JsonlTest, HoldsLinesUpToTheLimitAndSkipsLongerOnes) {
  const std::string longest(kRecordLimit, 'a');
  EXPECT_THAT(lines(fmt::format("{}\n{{}}", longest)), ElementsAre(fmt::format("1={}", longest), "2={}"));
  EXPECT_THAT(lines(fmt::format("{}aaa\n{{}}", longest)), ElementsAre(HasSubstr("at most 16 MiB"), "2={}"));
  EXPECT_THAT(lines(fmt::format("{0}{0}{0}", longest)), ElementsAre(HasSubstr("at most 16 MiB")));
}

TEST_F(JsonlTest, ReadsLinesAcrossItsBuffers) {
  std::string bytes;
  std::vector<std::string> expected = {"1={}"};
  for (int i = 2; i <= 3000; ++i) {
    const std::string line = fmt::format("[{:x>{}}]", "", i);
    bytes += line + "\n";
    expected.push_back(std::to_string(i) + "=" + line);
  }
  EXPECT_EQ(lines("{}\n" + bytes), expected);
}

TEST_F(JsonlTest, RefusesWhatIsNoFile) {
  EXPECT_THROW(JsonlReader(folder_.path() / "nowhere"), DataError);
  EXPECT_THROW(JsonlReader(folder_.path()), DataError);
  const fs::path pipe = folder_.path() / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THROW(JsonlReader{pipe}, DataError);
}

TEST_F(JsonlTest, AFileThatCannotBeOpenedOrReadIsRefusedWithTheSystemsReason) {
  const auto complaint = [](const fs::path& path) {
    return nkat::testing::complaint_about([](const std::string& file) { JsonlReader{file}.next(); }, path.string());
  };
  EXPECT_THAT(complaint(folder_.path() / "nowhere"), HasSubstr("nowhere: can't be opened: No such file"));
  // A regular file that opens, and whose first page no process has.
  EXPECT_THAT(complaint("/proc/self/mem"), HasSubstr("/proc/self/mem: can't be read: Input/output error"));
}

TEST_F(JsonlTest, SurvivesEveryTruncationAndBitFlip) {
  const std::string bytes = "\xEF\xBB\xBF{\"text\":\"\u3053\"}\r\n\n{\"text\":\"b\"}";
  const nkat::testing::Reader read = [this](const std::string& text) { lines(text); };
  nkat::testing::refused_truncations(read, bytes);
  nkat::testing::refused_bit_flips(read, bytes);
}

}  // namespace
}  // namespace nkat::data
