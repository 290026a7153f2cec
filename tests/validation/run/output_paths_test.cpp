#include "validation/run/output_paths.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/message_of.h"
#include "tests/support/temporary_folder.h"

namespace nkat::validation {
namespace {

using nkat::testing::TemporaryFolder;
using ::testing::HasSubstr;

class OutputPathsTest : public ::testing::Test {
 protected:
  OutputPathsTest() { fs::create_directories(run_ / "checkpoints" / "step-000050"); }

  std::string refusal(const std::vector<OutputPath>& outputs, const std::vector<fs::path>& inputs = {}) const {
    return nkat::testing::message_of([&] { check_output_paths(outputs, inputs, {run_}); });
  }

  TemporaryFolder folder_;
  fs::path run_ = folder_.path() / "run";
};

TEST_F(OutputPathsTest, TakesAReportBesideTheRunsOwnFiles) {
  EXPECT_EQ(refusal({{"--output-report", run_ / "report.MD", {".md"}}, {"--plot", run_ / "plot.png"}}), "");
  EXPECT_TRUE(fs::is_empty(run_ / "checkpoints" / "step-000050"));
  EXPECT_FALSE(fs::exists(run_ / "report.MD.probe"));
}

TEST_F(OutputPathsTest, PlotsStandBesideTheReport) {
  EXPECT_EQ(default_transition_plot("runs/demo/report.md"), "runs/demo/report-transition.png");
  EXPECT_EQ(default_transition_plot("report.html"), "report-transition.png");
  EXPECT_EQ(plot_folder("runs/demo/report.md"), "runs/demo/report-plots");
}

TEST_F(OutputPathsTest, RefusesTheRunsOwnFiles) {
  for (const char* name : {"metrics.jsonl", "config.json", "checkpoints/step-000050/manifest.json", "adapter/x.json",
                           "checkpoints/../metrics.jsonl", "samples.jsonl", "tensorboard/x.md"}) {
    EXPECT_THAT(refusal({{"--output-report", run_ / name}}), HasSubstr("file of the run itself")) << name;
  }
}

TEST_F(OutputPathsTest, KnowsTheRunByItsCheckpointsFolder) {
  EXPECT_THROW(check_output_paths({{"--o", run_ / "metrics.jsonl"}}, {}, {run_ / "checkpoints"}), ConfigError);
  EXPECT_THROW(check_output_paths({{"--o", run_ / "checkpoints" / "r.md"}}, {}, {run_ / "checkpoints"}), ConfigError);
}

TEST_F(OutputPathsTest, RefusesAnInputInAnotherSpelling) {
  const fs::path data = folder_.write("data.jsonl", "{}");
  EXPECT_THAT(refusal({{"--answers-file", folder_.path() / "run" / ".." / "data.jsonl"}}, {data}),
              HasSubstr("an input"));
}

TEST_F(OutputPathsTest, RefusesTwoOutputsOfOneName) {
  EXPECT_THAT(refusal({{"--a", folder_.path() / "x.png"}, {"--b", folder_.path() / "run" / ".." / "x.png"}}),
              HasSubstr("another output"));
}

TEST_F(OutputPathsTest, RefusesEmptyNamesFoldersAndOtherEndings) {
  EXPECT_THAT(refusal({{"--o", ""}}), HasSubstr("expected a file name"));
  EXPECT_THAT(refusal({{"--o", run_}}), HasSubstr("expected a file, found a folder"));
  EXPECT_THAT(refusal({{"--o", folder_.path() / "r.txt", {".md", ".html"}}}), HasSubstr(".md, .html"));
  EXPECT_THROW(check_output_paths({{"--o", folder_.path() / "missing" / "r.md"}}, {}, {}), DataError);
  EXPECT_THROW(check_output_paths({{"--o", "/proc/r.md"}}, {}, {}), DeviceError);
}

}  // namespace
}  // namespace nkat::validation
