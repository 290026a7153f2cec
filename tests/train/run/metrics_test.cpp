#include "train/run/metrics.h"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/message_of.h"
#include "tests/support/step_metrics.h"
#include "tests/support/temporary_folder.h"

namespace nkat::train {
namespace {

using ::testing::HasSubstr;
using testing::metrics_of_step;
using testing::TemporaryFolder;

std::string content(const fs::path& path) { return read_file(path, 1 << 20); }

TEST(MetricsLog, CutsTheLinesAfterTheCheckpointAndGoesOn) {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "metrics.jsonl";
  {
    MetricsLog log(path, 0, 2);
    for (int step = 1; step <= 5; ++step) log.append(metrics_of_step(step));
  }
  std::ofstream(path, std::ios::app) << "{\"step\":6,\"lo";  // a kill in the middle of a line
  MetricsLog log(path, 3, 2);
  EXPECT_EQ(log.history().size(), 3u);
  log.append(metrics_of_step(4));
  EXPECT_EQ(content(path), to_json_line(metrics_of_step(1)) + to_json_line(metrics_of_step(2)) +
                               to_json_line(metrics_of_step(3)) + to_json_line(metrics_of_step(4)));
}

TEST(MetricsLog, NamesALineThatIsMissing) {
  const TemporaryFolder folder;
  folder.write("metrics.jsonl", to_json_line(metrics_of_step(1)));
  EXPECT_THAT(nkat::testing::message_of<DataError>([&] { MetricsLog log(folder.path() / "metrics.jsonl", 2, 2); }),
              HasSubstr("the line of step 2 is missing"));
}

TEST(MetricsLog, RefusesListsOfAnotherLength) {
  const TemporaryFolder folder;
  StepMetrics metrics = metrics_of_step(1);
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
