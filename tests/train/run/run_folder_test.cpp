#include "train/run/run_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "tests/support/message_of.h"
#include "tests/support/temporary_folder.h"

namespace nkat::train {
namespace {

using ::testing::HasSubstr;
using testing::message_of;
using Json = nlohmann::ordered_json;

class RunFolderTest : public ::testing::Test {
 protected:
  void write(const std::string& name, const std::string& text) const {
    fs::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name, std::ios::binary) << text;
  }
  std::optional<Json> saved_config() const { return RunFolder(path_).saved_config(); }
  const testing::TemporaryFolder parent_;
  const fs::path path_ = parent_.path() / "run";
};

TEST_F(RunFolderTest, BringsBackTheSettingsThatItSaved) {
  const data::RunFacts saved{.requested_checkpointing = "full",
                             .memory = {.recomputed_layers = 3, .head_rows = 32, .micro_batch_samples = 2},
                             .memory_events = {"step 1: one", "step 2: another"},
                             .validation_sha256 = "abc",
                             .validation_since = 7,
                             .ranks = 2};
  RunFolder folder(path_);
  folder.save_config(TrainConfig(), saved);
  write("checkpoints/step-000001/manifest.json", "{}");
  const auto json = folder.saved_config();
  ASSERT_TRUE(json);
  EXPECT_EQ((*json)["learning_rate"], 1e-3);
  const data::RunFacts settings = data::run_facts(*json);
  EXPECT_EQ(settings.requested_checkpointing, "full");
  EXPECT_EQ(settings.memory.recomputed_layers, 3);
  EXPECT_EQ(settings.memory.head_rows, 32);
  EXPECT_EQ(settings.memory.micro_batch_samples, 2);
  EXPECT_EQ(settings.memory_events, saved.memory_events);
  EXPECT_EQ(settings.validation_sha256, "abc");
  EXPECT_EQ(settings.validation_since, 7);
  EXPECT_EQ(settings.ranks, 2);
}

TEST_F(RunFolderTest, SettingsThatOlderReleasesDidNotWriteHaveDefaults) {
  const data::RunFacts settings = data::run_facts(Json{{"nkat_run", 1}});
  EXPECT_EQ(settings.requested_checkpointing, "auto");
  EXPECT_EQ(settings.memory.head_rows, data::MemorySettings().head_rows);
  EXPECT_EQ(settings.ranks, 1);
  EXPECT_TRUE(settings.memory_events.empty());
}

TEST_F(RunFolderTest, ANewFolderHasNoRun) { EXPECT_FALSE(RunFolder(path_).saved_config()); }

TEST_F(RunFolderTest, WithoutACheckpointThereIsNothingToResume) {
  const RunFolder folder(path_);
  folder.save_config(TrainConfig(), {});
  EXPECT_FALSE(folder.saved_config());
}

TEST_F(RunFolderTest, AConfigThatNoRunHasWrittenIsLeftAlone) {
  for (const char* text : {R"({"model_type":"phi3"})", R"({"nkat_run":2})", "[]"}) {
    write("config.json", text);
    EXPECT_THAT(message_of<ConfigError>([&] { saved_config(); }), HasSubstr("not written by a run")) << text;
    EXPECT_EQ(read_file(path_ / "config.json", 1 << 10), text);
  }
}

TEST_F(RunFolderTest, ARunThatLacksAFileIsRefused) {
  write("metrics.jsonl", "{}\n");
  EXPECT_THAT(message_of<DataError>([&] { saved_config(); }), HasSubstr("no checkpoint"));
  fs::remove(path_ / "metrics.jsonl");
  write("checkpoints/step-000001/manifest.json", "{}");
  EXPECT_THAT(message_of<DataError>([&] { saved_config(); }), HasSubstr("no config.json"));
}

TEST_F(RunFolderTest, IsLockedAgainstASecondProcess) {
  const RunFolder first(path_);
  EXPECT_THROW(RunFolder{path_}, DeviceError);
}

TEST_F(RunFolderTest, AStartThatFailsRemovesWhatItHasMade) {
  RunFolder(path_).save_config(TrainConfig(), {});
  EXPECT_FALSE(fs::exists(path_));
  write("notes.txt", "kept");
  RunFolder(path_).save_config(TrainConfig(), {});
  EXPECT_EQ(std::distance(fs::directory_iterator(path_), {}), 1);
}

TEST_F(RunFolderTest, AsksForFreeSpace) {
  const RunFolder folder(path_);
  EXPECT_NO_THROW(folder.require_free_space(1));
  EXPECT_THROW(folder.require_free_space(1ULL << 60), DeviceError);
}

}  // namespace
}  // namespace nkat::train
