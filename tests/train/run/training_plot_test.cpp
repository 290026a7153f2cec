#include "train/run/training_plot.h"

#include <cmath>
#include <cstdlib>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/step_metrics.h"
#include "tests/support/temporary_folder.h"

namespace nkat::train {
namespace {

using nkat::testing::metrics_of_step;
using nkat::testing::TemporaryFolder;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::uint64_t kMiB = 1 << 20;

// What gnuplot is told; another program stands in for it and keeps its input. Empty if it wasn't started.
std::string commands_for(const std::vector<StepMetrics>& history, std::int64_t first_layer = 0) {
  const TemporaryFolder folder;
  const std::string before = std::getenv("PATH");
  const fs::path kept = folder.path() / "kept";
  fs::permissions(folder.write("gnuplot", "#!/bin/sh\ncat > '" + kept.string() + "'\n"), fs::perms::owner_all);
  setenv("PATH", (folder.path().string() + ":" + before).c_str(), 1);
  plot_training(history, first_layer, folder.path() / "training.png");
  setenv("PATH", before.c_str(), 1);
  return fs::exists(kept) ? read_file(kept, 1 << 20) : "";
}

// The rows of the table whose name stands last before `place`, "step value " each.
std::string rows_before(const std::string& commands, std::size_t place) {
  if (place == std::string::npos) return "no such curve";
  const std::size_t name = commands.rfind("$data", place);
  const std::string head = commands.substr(name, commands.find(' ', name) - name) + " << END_OF_DATA\n";
  const std::size_t begin = commands.find(head) + head.size();
  return commands.substr(begin, commands.find("END_OF_DATA\n", begin) - begin);
}
std::string curve(const std::string& commands, const std::string& title) {
  return rows_before(commands, commands.find(" title '" + title + "'"));
}
std::string memory_curve(const std::string& commands) { return rows_before(commands, std::string::npos - 1); }

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

TEST(TrainingPlot, DrawsTheLossesOfTheStepsThatHaveThem) {
  std::vector<StepMetrics> history = {metrics_of_step(1), metrics_of_step(2), metrics_of_step(3)};
  history[1].loss = std::nan("");
  history[2].loss = 1.25;
  EXPECT_THAT(commands_for(history), Not(HasSubstr("validation")));
  history[1].validation_loss = 2;
  const std::string commands = commands_for(history);
  EXPECT_EQ(curve(commands, "training"), "1 1.5 \n3 1.25 \n");
  EXPECT_EQ(curve(commands, "validation"), "2 2 \n");
}

TEST(TrainingPlot, DrawsTheSigmoidOfEachAlphaUnderItsLayersNumber) {
  StepMetrics line = metrics_of_step(7);
  line.alpha = {0, std::log(3.0)};
  const std::string commands = commands_for({line}, 5);
  EXPECT_EQ(curve(commands, "layer 5"), "7 0.5 \n");
  EXPECT_EQ(curve(commands, "layer 6"), "7 0.75 \n");
  EXPECT_THAT(commands,
              AllOf(HasSubstr("palette frac 0.000 title 'layer 5'"), HasSubstr("frac 1.000 title 'layer 6'")));
}

TEST(TrainingPlot, NamesTheFirstAndTheLastOfMoreThanEightLayers) {
  StepMetrics line = metrics_of_step(1);
  line.alpha.assign(8, 0.0);
  EXPECT_EQ(count(commands_for({line}), " title 'layer "), 8U);
  line.alpha.assign(9, 0.0);
  const std::string commands = commands_for({line});
  EXPECT_THAT(commands, AllOf(HasSubstr(" title 'layer 0'"), HasSubstr(" title 'layer 8'")));
  EXPECT_EQ(count(commands, " title 'layer "), 2U);
  EXPECT_EQ(count(commands, " notitle"), 7U);
}

TEST(TrainingPlot, DrawsTrialityAgainstTheLeftAxisAndItsWeightAgainstTheRight) {
  StepMetrics line = metrics_of_step(4);
  line.triality = 0.25;
  line.triality_weight = 0.125;
  const std::string commands = commands_for({line});
  EXPECT_EQ(curve(commands, "triality loss"), "4 0.25 \n");
  EXPECT_EQ(curve(commands, "lambda (right)"), "4 0.125 \n");
  EXPECT_EQ(count(commands, "axes x1y2"), 1U);
}

TEST(TrainingPlot, TheLargestStepDecidesTheUnitOfMemory) {
  std::vector<StepMetrics> history = {metrics_of_step(1), metrics_of_step(2)};
  history[0].memory_bytes = 512 * kMiB;
  history[1].memory_bytes = 1023 * kMiB;
  const std::string small = commands_for(history);
  EXPECT_EQ(memory_curve(small), "1 512 \n2 1023 \n");
  EXPECT_THAT(small, HasSubstr("peak of the step, MiB"));
  history[1].memory_bytes = 1024 * kMiB;
  const std::string large = commands_for(history);
  EXPECT_EQ(memory_curve(large), "1 0.5 \n2 1 \n");
  EXPECT_THAT(large, HasSubstr("peak of the step, GiB"));
}

TEST(TrainingPlot, OneStepOfOneLayerIsEnoughEvenWithoutAFiniteLoss) {
  for (const double loss : {1.5, std::nan("")}) {
    const TemporaryFolder folder;
    StepMetrics line = metrics_of_step(1);
    line.alpha = {-5};
    line.loss = loss;
    plot_training({line}, 0, folder.path() / "training.png");
    ASSERT_TRUE(fs::exists(folder.path() / "training.png")) << loss;
    EXPECT_EQ(read_file(folder.path() / "training.png", 1 << 20).substr(1, 3), "PNG") << loss;
  }
}

TEST(TrainingPlot, OfNoStepsStartsNoProgram) { EXPECT_EQ(commands_for({}), ""); }

}  // namespace
}  // namespace nkat::train
