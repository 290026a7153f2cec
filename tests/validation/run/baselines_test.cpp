#include "validation/run/baselines.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/message_of.h"
#include "tests/support/temporary_folder.h"
#include "tests/validation/run/saved_run.h"

namespace nkat::validation {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::internal::CaptureStderr;
using ::testing::internal::GetCapturedStderr;
using namespace nkat::testing;

class ComparedRuns : public ::testing::Test {
 protected:
  ComparedRuns() { write_run("main", 0.0); }
  void write_run(const std::string& name, double shift) const {
    auto lines = metrics_lines(6, 2);
    for (auto& line : lines) line.gate_force[1] = static_cast<float>(line.gate_force[1] + shift);
    write_text(at(name) / "metrics.jsonl", metrics_text(lines));
    write_text(at(name) / "config.json", nlohmann::json{{"nkat_run", 1}, {"seed", 3}}.dump());
    write_checkpoint(at(name), 6, checkpoint_files(6, lines, {}));
  }
  fs::path at(const std::string& name) const { return folder_.path() / name; }
  std::vector<BaselineRun> compare(const std::vector<std::string>& names) const {
    std::vector<std::string> folders;
    for (const std::string& name : names) folders.push_back(at(name).string());
    return read_compared_runs(read_run(at("main")), folders, {});
  }
  std::string refusal(const std::vector<std::string>& names) const {
    return nkat::testing::message_of<ConfigError>([&] { compare(names); });
  }
  std::string warnings(const std::vector<std::string>& names) const {
    CaptureStderr();
    compare(names);
    return GetCapturedStderr();
  }

  const TemporaryFolder folder_;
};

TEST_F(ComparedRuns, AreReadInTheirOrderWithTheirSeeds) {
  write_run("b", 0.1);
  write_run("a", 0.2);
  fs::remove(at("a") / "config.json");
  const auto runs = compare({"b", "a"});
  ASSERT_EQ(runs.size(), 2u);
  EXPECT_EQ(runs[0].name, "b");
  EXPECT_EQ(runs[0].seed, 3);
  EXPECT_FALSE(runs[1].seed.has_value());
}

TEST_F(ComparedRuns, RefuseTheAnalyzedRunByWhateverPath) {
  fs::create_directory_symlink(at("main"), at("link"));
  fs::create_directory_symlink(at("main") / "checkpoints", at("link-to-checkpoints"));
  for (const char* path : {"main", "main/", "main/../main", "main/checkpoints", "link", "link-to-checkpoints"})
    EXPECT_THAT(refusal({path}), HasSubstr("found the analyzed one")) << path;
}

TEST_F(ComparedRuns, RefuseARunThatIsGivenTwice) {
  write_run("b", 0.1);
  EXPECT_THAT(refusal({"b", "b/checkpoints"}), HasSubstr("found one given before"));
}

TEST_F(ComparedRuns, WarnOfACopy) {
  write_run("copy", 0.0);
  write_run("b", 0.1);
  EXPECT_THAT(warnings({"b"}), Not(HasSubstr("same gates and forces")));
  EXPECT_THAT(warnings({"b", "copy"}), HasSubstr("same gates and forces in every step"));
}

TEST_F(ComparedRuns, NameTheirDamagedCheckpoints) {
  write_run("b", 0.1);
  write_text(at("b") / "checkpoints/step-000006/trainer_state.json", "short");
  EXPECT_THAT(warnings({"b"}), HasSubstr("b: passed over: "));
}

}  // namespace
}  // namespace nkat::validation
