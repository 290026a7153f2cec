#include "train/run/metrics.h"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/temporary_folder.h"

namespace nkat::train {
namespace {

using ::testing::HasSubstr;
using testing::TemporaryFolder;

StepMetrics line(std::int64_t step) {
  return {.step = step,
          .loss = 1.5,
          .tokens = 100,
          .target_tokens = 40,
          .alpha = {-5.0, -4.5},
          .gate_force = {0.25, -0.5},
          .step_seconds = 2.0};
}

std::string content(const fs::path& path) { return read_file(path, 1 << 20); }

TEST(MetricsLog, CutsTheLinesAfterTheCheckpointAndGoesOn) {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "metrics.jsonl";
  {
    MetricsLog log(path, 0, 2);
    for (int step = 1; step <= 5; ++step) log.append(line(step));
  }
  std::ofstream(path, std::ios::app) << "{\"step\":6,\"lo";  // a kill in the middle of a line
  MetricsLog log(path, 3, 2);
  EXPECT_EQ(log.history().size(), 3u);
  log.append(line(4));
  EXPECT_EQ(content(path),
            to_json_line(line(1)) + to_json_line(line(2)) + to_json_line(line(3)) + to_json_line(line(4)));
}

TEST(MetricsLog, NamesALineThatIsMissing) {
  const TemporaryFolder folder;
  folder.write("metrics.jsonl", to_json_line(line(1)));
  try {
    MetricsLog log(folder.path() / "metrics.jsonl", 2, 2);
    FAIL() << "opened";
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), HasSubstr("the line of step 2 is missing"));
  }
}

TEST(MetricsLog, RefusesListsOfAnotherLength) {
  const TemporaryFolder folder;
  StepMetrics metrics = line(1);
  metrics.alpha.resize(2000);
  folder.write("metrics.jsonl", to_json_line(metrics));
  EXPECT_THROW(MetricsLog(folder.path() / "metrics.jsonl", 1, 2), DataError);
}

TEST(MetricsLog, RefusesALineThatIsNone) {
  const TemporaryFolder folder;
  folder.write("metrics.jsonl", "{\"step\":1}\n");
  EXPECT_THROW(MetricsLog(folder.path() / "metrics.jsonl", 1, 2), FormatError);
}

}  // namespace
}  // namespace nkat::train
