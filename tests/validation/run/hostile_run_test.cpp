// Folders that are no run, or a damaged one: each is refused with a message that names the file and what is wrong.
#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/temporary_folder.h"
#include "tests/validation/run/saved_run.h"
#include "validation/run/run_reader.h"

namespace nkat::validation {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using namespace nkat::testing;

// Starts as a sound run of 6 steps and 2 layers with a checkpoint at 0, 3 and 6; each test damages it.
class HostileRunTest : public ::testing::Test {
 protected:
  HostileRunTest() {
    write_lines(metrics_lines(6, 2));
    for (const std::int64_t step : {0, 3, 6}) write_checkpoint(run_, step, files(step));
  }
  std::map<std::string, std::string> files(std::int64_t step) const {
    return checkpoint_files(step, metrics_lines(step, 2), shape_);
  }
  void write_lines(const std::vector<data::StepMetrics>& lines) const { write_metrics(metrics_text(lines)); }
  void write_metrics(const std::string& text) const { write_text(run_ / "metrics.jsonl", text); }
  void remove_checkpoints() const { fs::remove_all(run_ / "checkpoints"); }

  // The message, of an error that ends in exit code 3.
  static std::string refusal(const fs::path& folder) {
    try {
      read_run(folder);
    } catch (const Error& error) {
      EXPECT_EQ(error.exit_code(), ExitCode::kInput) << error.what();
      EXPECT_LT(std::string(error.what()).size(), 1000U);
      return error.what();
    }
    return "accepted";
  }
  std::string refusal() const { return refusal(run_); }

  const TemporaryFolder folder_;
  const fs::path run_ = folder_.path() / "run";
  const AdapterShape shape_{};
};

TEST_F(HostileRunTest, IsSoundBeforeItIsDamaged) { EXPECT_EQ(refusal(), "accepted"); }

TEST_F(HostileRunTest, RefusesAFolderThatIsMissing) {
  EXPECT_THAT(refusal(run_ / "elsewhere"),
              HasSubstr("elsewhere: expected the folder of a run, found nothing of that name"));
}

TEST_F(HostileRunTest, RefusesAFileInPlaceOfAFolder) {
  EXPECT_THAT(refusal(run_ / "metrics.jsonl"), HasSubstr("expected the folder of a run, found a file"));
}

TEST_F(HostileRunTest, RefusesAnEmptyFolder) {
  fs::create_directories(folder_.path() / "empty");
  EXPECT_THAT(refusal(folder_.path() / "empty"),
              HasSubstr("this is no run: expected metrics.jsonl or checkpoints/, found nothing"));
}

TEST_F(HostileRunTest, RefusesAModelFolderAndSaysWhatIsInIt) {
  const fs::path model = folder_.path() / "model";
  write_text(model / "config.json", R"({"model_type": "phi3"})");
  write_text(model / "model.safetensors", "");
  EXPECT_THAT(refusal(model), HasSubstr("this is no run: expected metrics.jsonl or checkpoints/, found "
                                        "config.json, model.safetensors"));
}

TEST_F(HostileRunTest, RefusesASingleCheckpointAndSaysWhatToGive) {
  EXPECT_THAT(refusal(run_ / "checkpoints/step-000003"),
              HasSubstr("this is one checkpoint; give the folder of its run"));
}

TEST_F(HostileRunTest, RefusesALinkThatLeadsToItself) {
  fs::create_symlink(folder_.path() / "loop", folder_.path() / "loop");
  EXPECT_THAT(refusal(folder_.path() / "loop"), HasSubstr("Too many levels of symbolic links"));
}

TEST_F(HostileRunTest, RefusesMetricsThatAreALoop) {
  fs::remove(run_ / "metrics.jsonl");
  fs::create_symlink(run_ / "metrics.jsonl", run_ / "metrics.jsonl");
  EXPECT_THAT(refusal(), HasSubstr("metrics.jsonl: can't be opened: Too many levels of symbolic links"));
}

TEST_F(HostileRunTest, RefusesMetricsThatAreAFolder) {
  fs::remove(run_ / "metrics.jsonl");
  fs::create_directories(run_ / "metrics.jsonl");
  EXPECT_THAT(refusal(), HasSubstr("metrics.jsonl: expected a file, found a folder"));
}

TEST_F(HostileRunTest, RefusesACheckpointsFolderThatIsAFile) {
  remove_checkpoints();
  write_text(run_ / "checkpoints", "text");
  EXPECT_THAT(refusal(), HasSubstr("checkpoints: expected the folder of a run, found a file"));
}

TEST_F(HostileRunTest, RefusesEmptyMetricsWithoutCheckpoints) {
  remove_checkpoints();
  write_metrics("");
  EXPECT_THAT(refusal(), HasSubstr("no step has been finished yet"));
}

TEST_F(HostileRunTest, RefusesMetricsOfOneUnfinishedLine) {
  remove_checkpoints();
  write_metrics(R"({"step":1,"loss")");
  EXPECT_THAT(refusal(), HasSubstr("no step has been finished yet"));
}

TEST_F(HostileRunTest, RefusesARunThatHasOnlyItsStart) {
  fs::remove(run_ / "metrics.jsonl");
  fs::remove_all(run_ / "checkpoints/step-000003");
  fs::remove_all(run_ / "checkpoints/step-000006");
  EXPECT_THAT(refusal(), HasSubstr("no step has been finished yet"));
}

TEST_F(HostileRunTest, RefusesMetricsThatEndBeforeTheCheckpoints) {
  write_lines(metrics_lines(5, 2));
  EXPECT_THAT(refusal(), AllOf(HasSubstr("step-000006: it holds 6 steps"), HasSubstr("metrics.jsonl only 5 whole")));
}

TEST_F(HostileRunTest, RefusesALineThatIsNoJson) {
  write_metrics(metrics_text(metrics_lines(2, 2)) + "step 3\n");
  EXPECT_THAT(refusal(), HasSubstr("metrics.jsonl:3: not valid JSON at byte"));
}

TEST_F(HostileRunTest, RefusesABlankLine) {
  write_metrics(metrics_text(metrics_lines(2, 2)) + "\n");
  EXPECT_THAT(refusal(), HasSubstr("metrics.jsonl:3: not valid JSON"));
}

TEST_F(HostileRunTest, RefusesALineOfAnotherProgram) {
  write_metrics("{\"epoch\": 1, \"loss\": 2.5}\n");
  EXPECT_THAT(refusal(),
              HasSubstr("metrics.jsonl:1: key 'step': expected a whole number of at least 0, found nothing"));
}

TEST_F(HostileRunTest, RefusesALineThatIsAList) {
  write_metrics("[1, 2]\n");
  EXPECT_THAT(refusal(), HasSubstr("metrics.jsonl:1: expected a JSON object, found [1,2]"));
}

TEST_F(HostileRunTest, RefusesStepNumbersThatJump) {
  auto lines = metrics_lines(6, 2);
  lines.erase(lines.begin() + 2);
  write_lines(lines);
  EXPECT_THAT(refusal(), HasSubstr("metrics.jsonl:3: expected step 3, found step 4"));
}

TEST_F(HostileRunTest, RefusesAStepThatStandsTwice) {
  auto lines = metrics_lines(6, 2);
  lines.insert(lines.begin() + 1, lines[1]);
  write_lines(lines);
  EXPECT_THAT(refusal(), HasSubstr("metrics.jsonl:3: expected step 3, found step 2"));
}

TEST_F(HostileRunTest, RefusesMetricsThatBeginInTheMiddle) {
  auto lines = metrics_lines(6, 2);
  lines.erase(lines.begin());
  write_lines(lines);
  EXPECT_THAT(refusal(), HasSubstr("metrics.jsonl:1: expected step 1, found step 2"));
}

TEST_F(HostileRunTest, RefusesListsThatGrow) {
  auto lines = metrics_lines(2, 2);
  lines.push_back(metrics_line(3, 2000));
  write_lines(lines);
  EXPECT_THAT(refusal(), HasSubstr("metrics.jsonl:3: expected alpha and gate_force of 2 layers, found 2000 and 2000"));
}

TEST_F(HostileRunTest, RefusesForcesOfFewerLayersThanGates) {
  auto lines = metrics_lines(2, 2);
  lines[0].gate_force.pop_back();
  write_lines(lines);
  EXPECT_THAT(refusal(), HasSubstr("metrics.jsonl:1: expected alpha and gate_force of 2 layers, found 2 and 1"));
}

TEST_F(HostileRunTest, RefusesLinesWithoutLayers) {
  write_lines(metrics_lines(2, 0));
  EXPECT_THAT(refusal(), HasSubstr("expected alpha and gate_force of one or more layers, found 0 and 0"));
}

TEST_F(HostileRunTest, RefusesGatesThatAreNoNumbers) {
  auto lines = metrics_lines(2, 2);
  lines[1].alpha.assign(2, NAN);
  write_lines(lines);
  EXPECT_THAT(refusal(), HasSubstr("metrics.jsonl:2: alpha contains NaN"));
}

TEST_F(HostileRunTest, RefusesForcesThatAreNoNumbersInAStepThatWasNotSkipped) {
  auto lines = metrics_lines(2, 2);
  lines[1].gate_force[0] = NAN;
  write_lines(lines);
  EXPECT_THAT(refusal(), HasSubstr("metrics.jsonl:2: gate_force contains NaN or infinity, but the step is not"));
}

TEST_F(HostileRunTest, RefusesAHundredMegabytesWithoutALineInOneShortMessage) {
  for (const char* start : {"\x01", "{\"step\":\"", "["}) {
    write_metrics(start + std::string(100'000'000, 'x'));
    EXPECT_THAT(refusal(), HasSubstr("metrics.jsonl:1: expected a line of at most 1048576 bytes"));
  }
}

TEST_F(HostileRunTest, RefusesALongTextInOneShortMessage) {
  write_metrics(fmt::format("\"{:x<1000000}\n", ""));
  EXPECT_THAT(refusal(), HasSubstr("metrics.jsonl:1: not valid JSON"));
}

TEST_F(HostileRunTest, RefusesCheckpointsThatAreAllDamagedWhereThereAreNoMetrics) {
  fs::remove(run_ / "metrics.jsonl");
  for (const char* step : {"0", "3", "6"})
    fs::remove(run_ / "checkpoints" / (std::string("step-00000") + step) / "adapter_config.json");
  EXPECT_THAT(refusal(), AllOf(HasSubstr("no metrics, and all 3 checkpoints are damaged"), HasSubstr("step-000006")));
}

TEST_F(HostileRunTest, RefusesACheckpointWhoseGateDiffersFromTheMetrics) {
  auto lines = metrics_lines(6, 2);
  lines[4].alpha[1] = -2.5;
  write_lines(lines);
  EXPECT_THAT(refusal(), AllOf(HasSubstr("step-000006: step 5, layer 1: alpha is -4.95 here and -2.5 in"),
                               HasSubstr("metrics.jsonl; they are not of one run")));
}

TEST_F(HostileRunTest, RefusesAnOlderCheckpointWhoseLastForceDiffers) {
  auto changed = files(3);
  auto lines = metrics_lines(3, 2);
  lines[2].gate_force[0] = 9.0;
  changed[data::kStateTensors] = series_bytes(lines, 2);
  write_checkpoint(run_, 3, changed);
  EXPECT_THAT(refusal(), HasSubstr("step-000003: step 3, layer 0: gate_force is 9 here and -0.3"));
}

TEST_F(HostileRunTest, RefusesCheckpointsOfTwoRunsWhereThereAreNoMetrics) {
  fs::remove(run_ / "metrics.jsonl");
  auto changed = files(3);
  auto lines = metrics_lines(3, 2);
  lines[2].alpha[1] = 1.0;
  changed[data::kStateTensors] = series_bytes(lines, 2);
  write_checkpoint(run_, 3, changed);
  EXPECT_THAT(refusal(), HasSubstr("step-000003: step 3, layer 1: alpha is 1 here and -4.97"));
}

TEST_F(HostileRunTest, RefusesACheckpointOfAnotherModel) {
  const AdapterShape other{.hidden = 16, .num_layers = 3};
  write_checkpoint(run_, 6, checkpoint_files(6, metrics_lines(6, 3), other));
  EXPECT_THAT(refusal(), AllOf(HasSubstr("step-000006: it holds 3 layers"), HasSubstr("has lists of 2")));
}

TEST_F(HostileRunTest, RefusesACheckpointThatBeginsAtAnotherLayerThanTheRun) {
  write_text(run_ / "config.json", R"({"nkat_run": 1, "first_adapter_layer": 4})");
  EXPECT_THAT(refusal(), HasSubstr("its adapter begins at layer 0, the run's at layer 4"));
}

TEST_F(HostileRunTest, RefusesAConfigThatIsNoJson) {
  write_text(run_ / "config.json", "{\"nkat_run\": 1,");
  EXPECT_THAT(refusal(), HasSubstr("config.json: not valid JSON"));
}

TEST_F(HostileRunTest, RefusesASettingOfAnotherType) {
  write_text(run_ / "config.json", R"({"nkat_run": 1, "max_steps": "many"})");
  EXPECT_THAT(refusal(),
              HasSubstr("config.json: key 'max_steps': expected a whole number of at least 0, found \"many\""));
}

// Not passed over: the run would be judged by an older state.
TEST_F(HostileRunTest, RefusesARunWithACheckpointOfANewerVersion) {
  const std::pair<const char*, const char*> newer[] = {
      {data::kAdapterConfigFile, R"({"peft_type": "NKAT_SO8T", "version": 2})"},
      {data::kStateJson, R"({"version": 2})"}};
  for (const auto& [name, text] : newer) {
    auto changed = files(6);
    changed[name] = text;
    write_checkpoint(run_, 6, changed);
    EXPECT_THAT(refusal(), HasSubstr(std::string(name) + ": key 'version': expected at most 1, found 2; a newer nkat"));
  }
  write_text(run_ / "checkpoints/step-000006/manifest.json", R"({"version": 2})");
  EXPECT_THAT(refusal(), HasSubstr("manifest.json: key 'version': expected at most 1, found 2; a newer nkat wrote it"));
}

// What is wrong inside a checkpoint whose manifest holds makes that checkpoint a damaged one.
struct Change {
  const char* name;
  const char* file;
  std::function<std::string()> content;
  const char* complaint;
};
void PrintTo(const Change& change, std::ostream* out) { *out << change.name; }

class DamagedCheckpointTest : public HostileRunTest, public ::testing::WithParamInterface<Change> {};

TEST_P(DamagedCheckpointTest, IsPassedOverWithItsComplaint) {
  auto changed = files(6);
  changed[GetParam().file] = GetParam().content();
  write_checkpoint(run_, 6, changed);
  const RunRecords run = read_run(run_);
  EXPECT_EQ(run.checkpoints.back().step, 3);
  EXPECT_THAT(run.damaged, ::testing::ElementsAre(HasSubstr(GetParam().complaint)));
}

const Change kChanges[] = {
    {"StepOfAnotherFolder", data::kStateJson, [] { return R"({"version": 1, "step": 7})"; },
     "expected step 6, found step 7"},
    {"StateWithoutStep", data::kStateJson, [] { return R"({"version": 1})"; },
     "key 'step': expected a whole number of at least 0, found nothing"},
    {"StateThatIsAList", data::kStateJson, [] { return "[]"; }, "expected a JSON object, found []"},
    {"PendingLineOfAnotherStep", data::kStateJson,
     [] { return R"({"version": 1, "step": 6, "pending_metrics": )" + data::to_json_line(metrics_line(5, 2)) + "}"; },
     "pending_metrics: expected the line of step 6 with 2 layers, found step 5"},
    {"PendingLineOfMoreLayers", data::kStateJson,
     [] { return R"({"version": 1, "step": 6, "pending_metrics": )" + data::to_json_line(metrics_line(6, 9)) + "}"; },
     "pending_metrics: expected the line of step 6 with 2 layers"},
    {"SeriesOfFewerSteps", data::kStateTensors, [] { return series_bytes(metrics_lines(5, 2), 2); },
     "tensor 'series.alpha': expected F32 [6, 2], found F32 [5, 2]"},
    {"GateThatIsNoNumber", data::kStateTensors,
     [] {
       auto lines = metrics_lines(6, 2);
       lines[5].alpha[1] = NAN;
       return series_bytes(lines, 2);
     },
     "tensor 'series.alpha' holds a value that is no number"},
    {"StateWithoutSeries", data::kStateTensors, [] { return data::serialize_safetensors({}, {}); },
     "tensor 'series.alpha': expected F32 [6, 2], found none"},
    {"StateThatIsNoSafetensors", data::kStateTensors, [] { return std::string(100, '\xff'); },
     "trainer_state.safetensors"},
    {"AdapterOfAnotherType", data::kAdapterConfigFile, [] { return R"({"peft_type": "LORA"})"; },
     "key 'peft_type': expected NKAT_SO8T, found \"LORA\"; this is no NKAT-SO8T adapter"},
    {"StateWithoutVersion", data::kStateJson, [] { return R"({"step": 6})"; },
     "key 'version': expected a whole number of at least 1, found nothing"},
    {"AdapterWithoutVersion", data::kAdapterConfigFile, [] { return R"({"peft_type": "NKAT_SO8T"})"; },
     "key 'version': expected a whole number of at least 1, found nothing"},
    {"AdapterOfAHugeModel", data::kAdapterConfigFile,
     [] { return R"({"peft_type": "NKAT_SO8T", "version": 1, "hidden_size": 9000000000000000000})"; },
     "key 'hidden_size'"},
};

INSTANTIATE_TEST_SUITE_P(HostileRun, DamagedCheckpointTest, ::testing::ValuesIn(kChanges),
                         [](const auto& change) { return change.param.name; });

}  // namespace
}  // namespace nkat::validation
