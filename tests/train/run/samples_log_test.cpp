#include "train/run/samples_log.h"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/mutations.h"
#include "tests/support/temporary_folder.h"

namespace nkat::train {
namespace {

using ::testing::HasSubstr;
using testing::message_of;

std::string line(int step, const std::string& prompt) {
  return "{\"step\":" + std::to_string(step) + ",\"prompt\":\"" + prompt + "\",\"answer\":\"yes\"}\n";
}

class SamplesLogTest : public ::testing::Test {
 protected:
  std::string content() const { return read_file(path_, 1 << 20); }
  void write(const std::string& text) const { std::ofstream(path_, std::ios::binary) << text; }

  const testing::TemporaryFolder folder_;
  const fs::path path_ = folder_.path() / "samples.jsonl";
};

TEST_F(SamplesLogTest, WritesALineAnAnswer) {
  SamplesLog log(path_, 0);
  log.append(5, {{"one?", "yes"}, {"こ\n\"x\"", "no\tmore"}});
  EXPECT_EQ(content(), line(5, "one?") + "{\"step\":5,\"prompt\":\"こ\\n\\\"x\\\"\",\"answer\":\"no\\tmore\"}\n");
}

TEST_F(SamplesLogTest, CutsTheAnswersAfterTheCheckpointAndGoesOn) {
  {
    SamplesLog log(path_, 0);
    for (const int step : {2, 4, 6}) log.append(step, {{"a", "yes"}, {"b", "yes"}});
  }
  SamplesLog log(path_, 5);
  EXPECT_EQ(content(), line(2, "a") + line(2, "b") + line(4, "a") + line(4, "b"));
  log.append(6, {{"a", "yes"}});
  EXPECT_EQ(content(), line(2, "a") + line(2, "b") + line(4, "a") + line(4, "b") + line(6, "a"));
}

TEST_F(SamplesLogTest, CutsALineThatAKillHasCut) {
  const std::string whole = line(2, "a"), next = line(4, "b");
  for (std::size_t length = 0; length < next.size(); ++length) {
    write(whole + next.substr(0, length));
    SamplesLog(path_, 9);
    EXPECT_EQ(content(), whole) << length;
  }
}

TEST_F(SamplesLogTest, LeavesAFileThatNoRunHasWritten) {
  for (const std::string text : {"{\"text\":\"mine\"}\n", "mine", "{\"step\":1}\n", "[]\n", "{\"text\":\"mine\"}"}) {
    write(text);
    EXPECT_THAT(message_of<DataError>([&] { SamplesLog(path_, 0); }), HasSubstr("samples.jsonl:1")) << text;
    EXPECT_EQ(content(), text);
  }
  write(line(1, "a") + "\n");
  EXPECT_THAT(message_of<DataError>([&] { SamplesLog(path_, 3); }), HasSubstr("move the file away"));
}

TEST_F(SamplesLogTest, SurvivesMutations) {
  const auto read = [&](const std::string& bytes) {
    write(bytes);
    SamplesLog(path_, 4);
  };
  const auto counts = testing::survive_mutations(read, line(2, "a") + line(2, "b") + line(4, "c"), 300);
  EXPECT_GT(counts.refused, counts.tried / 4);
}

}  // namespace
}  // namespace nkat::train
