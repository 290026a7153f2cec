#include "validation/run/saved_series.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/message_of.h"
#include "tests/support/temporary_folder.h"
#include "tests/validation/run/saved_run.h"

namespace nkat::validation {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using namespace nkat::testing;

// Two layers; at step s the gates are s and s + 0.5, the forces -s and no number.
std::vector<data::StepMetrics> counting_lines(std::int64_t steps) {
  std::vector<data::StepMetrics> lines;
  for (std::int64_t step = 1; step <= steps; ++step) {
    const auto number = static_cast<double>(step);
    lines.push_back({.step = step, .alpha = {number, number + 0.5}, .gate_force = {-number, NAN}});
  }
  return lines;
}

class SavedSeriesTest : public ::testing::Test {
 protected:
  SavedSeries read(std::int64_t step, Rows rows) const { return read_saved_series(folder_.path(), step, 2, rows); }
  void write_tensors(const std::string& bytes) const { folder_.write(data::kStateTensors, bytes); }
  void write_pending(const data::StepMetrics& line) const {
    const nlohmann::json state = {
        {"version", 1}, {"step", 3}, {"pending_metrics", nlohmann::json::parse(data::to_json_line(line))}};
    folder_.write(data::kStateJson, state.dump());
  }
  const TemporaryFolder folder_;
};

TEST_F(SavedSeriesTest, AreReadWholeOrTheLastRowAlone) {
  write_tensors(series_bytes(counting_lines(3), 2));
  const SavedSeries whole = read(3, Rows::kAll);
  EXPECT_EQ(whole.first_step, 1);
  EXPECT_EQ(whole.rows(), 3);
  EXPECT_THAT(whole.alpha, ElementsAre(1, 1.5, 2, 2.5, 3, 3.5));
  const SavedSeries last = read(3, Rows::kLast);
  EXPECT_EQ(last.first_step, 3);
  EXPECT_EQ(last.rows(), 1);
  EXPECT_THAT(last.alpha, ElementsAre(3, 3.5));
  ASSERT_EQ(last.gate_force.size(), 2U);
  EXPECT_EQ(last.gate_force[0], -3);
  EXPECT_TRUE(std::isnan(last.gate_force[1]));
}

TEST_F(SavedSeriesTest, HaveNoRowsBeforeTheFirstStep) {
  write_tensors(series_bytes({}, 2));
  for (const Rows rows : {Rows::kAll, Rows::kLast}) {
    const SavedSeries series = read(0, rows);
    EXPECT_EQ(series.first_step, 1);
    EXPECT_EQ(series.rows(), 0);
    EXPECT_NO_THROW(require_agreement(series, "checkpoint", {}, "metrics.jsonl", 0));
  }
}

TEST_F(SavedSeriesTest, OfForcesInAnotherTypeOrShapeAreRefused) {
  const std::vector<float> alpha(4, 1.0F);
  const std::vector<double> force(4, 1.0);
  const data::TensorToWrite gates{data::kAlphaSeries, data::DType::kF32, {2, 2}, std::as_bytes(std::span(alpha))};
  const auto refusal = [&](data::DType type, const std::vector<std::int64_t>& shape, std::size_t bytes) {
    write_tensors(data::serialize_safetensors(
        {gates, {data::kGateForceSeries, type, shape, std::as_bytes(std::span(force)).first(bytes)}}, {}));
    return message_of<FormatError>([&] { read(2, Rows::kAll); });
  };
  EXPECT_THAT(refusal(data::DType::kF64, {2, 2}, 32),
              HasSubstr("tensor 'series.gate_force': expected F32 [2, 2], found F64 [2, 2]"));
  EXPECT_THAT(refusal(data::DType::kF32, {2, 1}, 8), HasSubstr("expected F32 [2, 2], found F32 [2, 1]"));
}

TEST_F(SavedSeriesTest, AreRefusedForAnInfiniteGateAmongTheRowsRead) {
  auto lines = counting_lines(3);
  lines[0].alpha[1] = INFINITY;
  write_tensors(series_bytes(lines, 2));
  EXPECT_THAT(message_of<FormatError>([&] { read(3, Rows::kAll); }), HasSubstr("'series.alpha' holds a value that is"));
  EXPECT_NO_THROW(read(3, Rows::kLast));
}

TEST_F(SavedSeriesTest, APendingLineHasAForceForEachLayer) {
  folder_.write(data::kStateJson, R"({"version": 1, "step": 3})");
  EXPECT_FALSE(read_pending_metrics(folder_.path(), 3, 2).has_value());
  data::StepMetrics line = metrics_line(3, 2);
  write_pending(line);
  EXPECT_EQ(read_pending_metrics(folder_.path(), 3, 2).value().gate_force, line.gate_force);
  line.gate_force.pop_back();
  write_pending(line);
  EXPECT_THAT(message_of<FormatError>([&] { read_pending_metrics(folder_.path(), 3, 2); }),
              HasSubstr("pending_metrics: expected the line of step 3 with 2 layers"));
}

TEST_F(SavedSeriesTest, AgreeWithMetricsUpToTheRoundingToFloat32) {
  const SavedSeries saved{.layers = 2, .alpha = {0.1F, -5.0F}, .gate_force = {NAN, 0.3F}};
  data::StepMetrics line{.step = 1, .alpha = {0.1, -5.0}, .gate_force = {NAN, 0.3}};
  const auto complaint = [&] {
    return message_of<FormatError>([&] { require_agreement(saved, "checkpoint", {&line, 1}, "metrics.jsonl", 0); });
  };
  EXPECT_EQ(complaint(), "");
  line.gate_force[0] = 0.5;
  EXPECT_THAT(complaint(), HasSubstr("step 1, layer 0: gate_force is nan here and 0.5 in metrics.jsonl"));
  line.alpha[0] = std::nextafter(0.1F, 1.0F);
  EXPECT_THAT(complaint(), HasSubstr("step 1, layer 0: alpha is 0.1 here"));
}

TEST_F(SavedSeriesTest, ThatDisagreeAreNamedByStepAndLayerOfTheModel) {
  const SavedSeries saved{.first_step = 5, .layers = 2, .alpha = {5, 5.5, 6, 6.5}, .gate_force = {-5, NAN, -6, 0.25F}};
  auto lines = counting_lines(6);
  lines[0].alpha[0] = 99;  // before the first row
  EXPECT_THAT(message_of<FormatError>([&] { require_agreement(saved, "step-000006", lines, "metrics.jsonl", 3); }),
              HasSubstr("step-000006: step 6, layer 4: gate_force is 0.25 here and nan in"));
  lines.pop_back();
  EXPECT_THAT(message_of<FormatError>([&] { require_agreement(saved, "step-000006", lines, "metrics.jsonl", 3); }),
              HasSubstr("it holds 6 steps, metrics.jsonl only 5 whole lines"));
}

TEST_F(SavedSeriesTest, AMetricsLineIsWholeWithItsNewlineAndHasAtMostAMebibyte) {
  EXPECT_THAT(read_metrics_file(folder_.write("metrics.jsonl", "")), IsEmpty());
  std::string line = data::to_json_line(metrics_line(1, 2));
  line.pop_back();
  EXPECT_THAT(read_metrics_file(folder_.write("metrics.jsonl", line)), IsEmpty());
  line.resize(std::size_t{1} << 20, ' ');
  EXPECT_EQ(read_metrics_file(folder_.write("metrics.jsonl", line + "\n")).size(), 1U);
  const fs::path longer = folder_.write("metrics.jsonl", line + " \n");
  EXPECT_THAT(message_of<FormatError>([&] { read_metrics_file(longer); }),
              AllOf(HasSubstr("metrics.jsonl:1: expected a line of at most 1048576 bytes"), HasSubstr("a longer one")));
}

}  // namespace
}  // namespace nkat::validation
