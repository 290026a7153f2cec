#include "validation/run/run_reader.h"

#include <cmath>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/temporary_folder.h"
#include "tests/validation/run/saved_run.h"

namespace nkat::validation {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using namespace nkat::testing;

// A run of 12 steps in run/, with checkpoints at 0, 5 and 10.
class RunRecordsTest : public ::testing::Test {
 protected:
  RunRecordsTest() {
    write_text(run_ / "metrics.jsonl", metrics_text(metrics_lines(12, shape_.layers())));
    for (const std::int64_t step : {0, 5, 10}) write_checkpoint(run_, step, files(step));
  }
  std::map<std::string, std::string> files(std::int64_t step) const {
    return checkpoint_files(step, metrics_lines(step, shape_.layers()), shape_);
  }
  void write_config(const nlohmann::json& keys) const {
    nlohmann::json config = {{"nkat_run", 1}};
    config.update(keys);
    write_text(run_ / "config.json", config.dump());
  }
  static std::vector<std::int64_t> steps(const RunRecords& run) {
    std::vector<std::int64_t> steps;
    for (const SavedCheckpoint& checkpoint : run.checkpoints) steps.push_back(checkpoint.step);
    return steps;
  }

  const TemporaryFolder folder_;
  const fs::path run_ = folder_.path() / "run";
  const AdapterShape shape_{.hidden = 16, .first_layer = 1, .num_layers = 4};
};

TEST_F(RunRecordsTest, ReadsMetricsSettingsAndCheckpointsOfARunFolder) {
  write_config({{"max_steps", 12},
                {"seed", 7},
                {"alpha_init", -4.5},
                {"control", "identity"},
                {"device", "cpu"},
                {"vram_budget_gib", 11},
                {"warmup_steps", 2},
                {"annealing_warmup", 4},
                {"model_path", "m"},
                {"first_adapter_layer", 1},
                {"validation", {{"since_step", 6}}}});
  const RunRecords run = read_run(run_);
  EXPECT_EQ(run.name, "run");
  EXPECT_EQ(run.metrics.size(), 12U);
  EXPECT_EQ(run.metrics[6].alpha, metrics_line(7, 3).alpha);
  EXPECT_EQ(run.layers(), 3);
  EXPECT_EQ(run.first_layer, 1);
  EXPECT_FALSE(run.series_only);
  EXPECT_THAT(steps(run), ElementsAre(0, 5, 10));
  EXPECT_EQ(run.checkpoints.back().path, run_ / "checkpoints" / "step-000010");
  EXPECT_EQ(run.settings.max_steps, 12);
  EXPECT_EQ(run.settings.warmup_steps, 2);
  EXPECT_EQ(run.settings.annealing_warmup, 4);
  EXPECT_EQ(run.settings.seed, 7);
  EXPECT_EQ(run.settings.alpha_init, -4.5);
  EXPECT_EQ(run.settings.vram_budget_gib, 11.0);
  EXPECT_EQ(run.settings.control, Control::kIdentity);
  EXPECT_EQ(run.settings.device, "cpu");
  EXPECT_EQ(run.settings.model_path, "m");
  EXPECT_EQ(run.settings.validation_since, 6);
  EXPECT_EQ(run.finished(), true);
}

TEST_F(RunRecordsTest, KnowsWhetherTheLastLineIsThatOfMaxSteps) {
  EXPECT_EQ(read_run(run_).finished(), std::nullopt);
  write_config({{"max_steps", 12}});
  EXPECT_EQ(read_run(run_).finished(), true);
  write_config({{"max_steps", 13}});
  EXPECT_EQ(read_run(run_).finished(), false);
}

TEST_F(RunRecordsTest, ARunThatHasEndedEarlyIsFinished) {
  auto lines = metrics_lines(12, shape_.layers());
  lines[3].validation_loss = 1.0;
  lines[7].validation_loss = lines[11].validation_loss = 2.0;
  write_text(run_ / "metrics.jsonl", metrics_text(lines));
  for (const auto& [patience, finished] : {std::pair{0, false}, {2, true}, {3, false}}) {
    write_config({{"max_steps", 100}, {"early_stopping_patience", patience}});
    EXPECT_EQ(read_run(run_).finished(), finished) << patience;
  }
  write_config({{"max_steps", 100}, {"early_stopping_patience", 2}, {"validation", {{"since_step", 4}}}});
  EXPECT_EQ(read_run(run_).finished(), false);
}

TEST_F(RunRecordsTest, ReadsTheSameFromTheCheckpointsFolder) {
  for (const fs::path& given : {run_ / "checkpoints", run_ / "checkpoints" / "", run_ / "." / "checkpoints"}) {
    const RunRecords run = read_run(given);
    EXPECT_EQ(run.folder, given);
    EXPECT_EQ(run.name, "run");
    EXPECT_EQ(run.metrics.size(), 12U);
    EXPECT_THAT(steps(run), ElementsAre(0, 5, 10));
  }
}

TEST_F(RunRecordsTest, ReadsCheckpointsThatWereCopiedUnderAnotherName) {
  fs::rename(run_ / "checkpoints", folder_.path() / "copied");
  const RunRecords run = read_run(folder_.path() / "copied");
  EXPECT_TRUE(run.series_only);
  EXPECT_THAT(steps(run), ElementsAre(0, 5, 10));
}

TEST_F(RunRecordsTest, ReadsARunThatIsNamedCheckpoints) {
  fs::rename(run_, folder_.path() / "checkpoints");
  const RunRecords run = read_run(folder_.path() / "checkpoints");
  EXPECT_EQ(run.name, "checkpoints");
  EXPECT_FALSE(run.series_only);
  EXPECT_THAT(steps(run), ElementsAre(0, 5, 10));
}

TEST_F(RunRecordsTest, TakesTheSeriesOfTheNewestCheckpointWhereMetricsAreMissing) {
  fs::remove(run_ / "metrics.jsonl");
  const RunRecords run = read_run(run_);
  EXPECT_TRUE(run.series_only);
  ASSERT_EQ(run.metrics.size(), 10U);
  EXPECT_EQ(run.metrics[9].step, 10);
  EXPECT_EQ(run.metrics[9].alpha, metrics_line(10, 3).alpha);
  EXPECT_EQ(run.metrics[9].gate_force, metrics_line(10, 3).gate_force);
  EXPECT_EQ(run.first_layer, 1);
}

TEST_F(RunRecordsTest, ReadsAFolderWithNothingButMetrics) {
  fs::remove_all(run_ / "checkpoints");
  const RunRecords run = read_run(run_);
  EXPECT_EQ(run.metrics.size(), 12U);
  EXPECT_TRUE(run.checkpoints.empty());
  EXPECT_EQ(run.first_layer, 0);
}

TEST_F(RunRecordsTest, IgnoresALastLineThatIsStillBeingWritten) {
  const std::string next = data::to_json_line(metrics_line(13, 3));
  write_text(run_ / "metrics.jsonl", metrics_text(metrics_lines(12, 3)) + next.substr(0, next.size() / 2));
  EXPECT_EQ(read_run(run_).metrics.size(), 12U);
}

TEST_F(RunRecordsTest, CompletesTheMetricsByTheLineThatAStopLeftPending) {
  auto changed = files(13);
  data::StepMetrics pending = metrics_line(13, 3);
  pending.loss = 0.125;
  changed[data::kStateJson] =
      nlohmann::json{
          {"version", 1}, {"step", 13}, {"pending_metrics", nlohmann::json::parse(data::to_json_line(pending))}}
          .dump();
  write_checkpoint(run_, 13, changed);
  const RunRecords run = read_run(run_);
  ASSERT_EQ(run.metrics.size(), 13U);
  EXPECT_EQ(run.metrics.back().loss, 0.125);
  EXPECT_FALSE(run.metrics.back().validation_loss.has_value());
}

TEST_F(RunRecordsTest, ReadsForcesOfSkippedStepsAsNaN) {
  auto lines = metrics_lines(12, 3);
  lines[3].gate_force.assign(3, NAN);
  lines[3].skipped = "the loss is not finite";
  write_text(run_ / "metrics.jsonl", metrics_text(lines));
  for (const std::int64_t step : {5, 10}) {
    auto changed = files(step);
    changed[data::kStateTensors] = series_bytes({lines.begin(), lines.begin() + step}, 3);
    write_checkpoint(run_, step, changed);
  }
  EXPECT_TRUE(std::isnan(read_run(run_).metrics[3].gate_force[2]));
  fs::remove(run_ / "metrics.jsonl");
  EXPECT_TRUE(std::isnan(read_run(run_).metrics[3].gate_force[2]));
}

TEST_F(RunRecordsTest, PassesOverADamagedCheckpointAndNamesIt) {
  write_text(run_ / "checkpoints/step-000010/trainer_state.safetensors", "short");
  const RunRecords run = read_run(run_);
  EXPECT_THAT(steps(run), ElementsAre(0, 5));
  EXPECT_THAT(run.damaged, ElementsAre(::testing::AllOf(
                               HasSubstr("step-000010/trainer_state.safetensors: expected "),
                               HasSubstr(" bytes, as in the manifest, found 5 bytes; the file is damaged"))));
}

TEST_F(RunRecordsTest, UsesAnOlderCheckpointsSeriesWhereTheNewestIsDamaged) {
  fs::remove(run_ / "metrics.jsonl");
  fs::remove(run_ / "checkpoints/step-000010/manifest.json");
  const RunRecords run = read_run(run_);
  EXPECT_EQ(run.metrics.size(), 5U);
  EXPECT_THAT(run.damaged, ElementsAre(HasSubstr("manifest.json: can't be opened: No such file")));
}

// As the trainer does it: the folder is renamed, then taken away.
TEST_F(RunRecordsTest, ACheckpointThatIsRemovedMeanwhileIsNotDamaged) {
  constexpr std::int64_t kSteps = 60;
  write_text(run_ / "metrics.jsonl", metrics_text(metrics_lines(kSteps, 3)));
  for (std::int64_t step = 1; step <= kSteps; ++step) write_checkpoint(run_, step, files(step));
  std::jthread remover([&] {
    for (std::int64_t step = 1; step < kSteps; ++step) {
      const fs::path folder = data::checkpoint_path(run_ / "checkpoints", step);
      fs::rename(folder, run_ / "checkpoints/removed");
      fs::remove_all(run_ / "checkpoints/removed");
    }
  });
  for (std::size_t left = kSteps; left > 2;) {
    const RunRecords run = read_run(run_);
    EXPECT_THAT(run.damaged, ElementsAre());
    left = run.checkpoints.size();
  }
}

TEST_F(RunRecordsTest, IgnoresFoldersThatAreNoCheckpoints) {
  for (const char* name :
       {"damaged-step-000007", "step-000011.tmp-4711", "step-10", "step-99999999999999999999", "step--00005", "step-"})
    fs::create_directories(run_ / "checkpoints" / name);
  const RunRecords run = read_run(run_);
  EXPECT_THAT(steps(run), ElementsAre(0, 5, 10));
  EXPECT_TRUE(run.damaged.empty());
}

TEST_F(RunRecordsTest, ListsADanglingLinkAsDamaged) {
  fs::create_directory_symlink(run_ / "gone", run_ / "checkpoints/step-000011");
  EXPECT_THAT(read_run(run_).damaged, ElementsAre(HasSubstr("step-000011")));
}

TEST_F(RunRecordsTest, IgnoresAConfigThatNoRunWrote) {
  write_text(run_ / "config.json", R"({"model_type": "phi3", "max_steps": "many"})");
  EXPECT_FALSE(read_run(run_).settings.max_steps.has_value());
}

TEST_F(RunRecordsTest, ReadsManyCheckpointsInTheirOrder) {
  fs::remove_all(run_ / "checkpoints");
  write_text(run_ / "metrics.jsonl", metrics_text(metrics_lines(40, 3)));
  for (std::int64_t step = 0; step <= 40; ++step) write_checkpoint(run_, step, files(step));
  const std::vector<std::int64_t> found = steps(read_run(run_));
  EXPECT_EQ(found.size(), 41U);
  EXPECT_TRUE(std::is_sorted(found.begin(), found.end()));
}

}  // namespace
}  // namespace nkat::validation
