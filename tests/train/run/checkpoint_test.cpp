#include "train/run/checkpoint.h"

#include <cstring>
#include <fstream>
#include <map>
#include <sys/inotify.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "data/run/checkpoint_files.h"
#include "tests/support/message_of.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_model.h"

namespace nkat::train {
namespace {

using ::testing::HasSubstr;
using testing::TemporaryFolder;
using testing::tiny_config;

std::vector<StepMetrics> lines(std::int64_t count) {
  std::vector<StepMetrics> history;
  for (std::int64_t step = 1; step <= count; ++step)
    history.push_back({.step = step, .alpha = {-5.0, -4.0}, .gate_force = {0.5, 0.25}});
  return history;
}

class CheckpointTest : public ::testing::Test {
 protected:
  TrainerState state(std::int64_t step) {
    TrainerState state;
    state.step = step;
    state.adapter = models::init_adapter(tiny_config(), {.weight_std = 0.1, .seed = static_cast<std::uint64_t>(step)});
    state.optimizer = OptimizerState::zeros_for(state.adapter);
    state.optimizer.first_moment.weight.fill_(0.125);
    state.optimizer.updates = step;
    return state;
  }
  void save(std::int64_t step) { save_checkpoint(folder_.path(), state(step), lines(step), tiny_config(), identity_); }
  fs::path at_step(std::int64_t step) { return data::checkpoint_path(folder_.path(), step); }
  void damage(const fs::path& file, std::size_t position) {
    std::string bytes = read_file(file, 1 << 24);
    bytes[position % bytes.size()] = static_cast<char>(bytes[position % bytes.size()] ^ 1);
    std::ofstream(file, std::ios::binary) << bytes;
  }
  const TemporaryFolder folder_;
  const RunIdentity identity_{
      .base = {"model", std::string(64, 'a')}, .data_sha256 = std::string(64, 'b'), .seed = 4, .batch_samples = 32};
};

TEST_F(CheckpointTest, BringsBackWhatItSaved) {
  TrainerState saved = state(3);
  saved.pending = lines(3).back();
  save_checkpoint(folder_.path(), saved, lines(2), tiny_config(), identity_);
  const LoadedCheckpoint loaded = load_checkpoint(at_step(3), tiny_config());
  EXPECT_TRUE(loaded.state.adapter.weight.equal(saved.adapter.weight));
  EXPECT_TRUE(loaded.state.adapter.alpha.equal(saved.adapter.alpha));
  EXPECT_TRUE(loaded.state.optimizer.first_moment.weight.equal(saved.optimizer.first_moment.weight));
  EXPECT_EQ(loaded.state.optimizer.updates, 3);
  EXPECT_EQ(loaded.state.step, 3);
  ASSERT_TRUE(loaded.state.pending.has_value());
  EXPECT_EQ(loaded.state.pending->step, 3);
  EXPECT_EQ(loaded.identity.data_sha256, identity_.data_sha256);
  EXPECT_EQ(loaded.identity.base.base_sha256, identity_.base.base_sha256);
}

TEST_F(CheckpointTest, FallsBackToTheOneBeforeADamagedOne) {
  save(10);
  save(20);
  damage(at_step(20) / "trainer_state.safetensors", 700);
  EXPECT_EQ(load_newest_checkpoint(folder_.path(), tiny_config())->state.step, 10);
}

// Resuming from the one before would set it aside as damaged.
TEST_F(CheckpointTest, OneOfANewerVersionEndsInAnErrorAndIsNotPassedOver) {
  const auto as_version_2 = [](std::string text) {
    constexpr std::string_view kVersion1 = "\"version\": 1";
    return text.replace(text.find(kVersion1), kVersion1.size(), "\"version\": 2");
  };
  save(10);
  for (const char* newer : {data::kManifest, data::kStateJson, data::kAdapterConfigFile}) {
    save(20);
    std::map<std::string, std::string> files;
    for (const char* name :
         {data::kAdapterModelFile, data::kAdapterConfigFile, data::kStateTensors, data::kStateJson}) {
      const std::string bytes = read_file(at_step(20) / name, 1 << 24);
      files[name] = std::string_view(name) == newer ? as_version_2(bytes) : bytes;
    }
    files[data::kStateTensors] = "of another format";  // which its version would say
    const std::string manifest = data::manifest_text(files);
    files[data::kManifest] = std::string_view(newer) == data::kManifest ? as_version_2(manifest) : manifest;
    for (const auto& [name, bytes] : files) std::ofstream(at_step(20) / name, std::ios::binary) << bytes;
    EXPECT_THAT(
        nkat::testing::message_of<NewerFormatError>([&] { load_newest_checkpoint(folder_.path(), tiny_config()); }),
        HasSubstr(std::string("step-000020/") + newer + ": key 'version': expected at most 1, found 2"));
  }
}

TEST_F(CheckpointTest, PassesOverOneWithoutManifest) {
  save(10);
  save(20);
  fs::remove(at_step(20) / "manifest.json");
  EXPECT_EQ(load_newest_checkpoint(folder_.path(), tiny_config())->state.step, 10);
}

TEST_F(CheckpointTest, DetectsOneFlippedBitInAnyFile) {
  for (const char* file :
       {"adapter_model.safetensors", "adapter_config.json", "trainer_state.safetensors", "trainer_state.json"}) {
    save(10);
    for (const std::size_t position : {0u, 9u, 150u, 100003u}) {
      damage(at_step(10) / file, position);
      EXPECT_THROW(load_checkpoint(at_step(10), tiny_config()), Error) << file << " at " << position;
      damage(at_step(10) / file, position);
    }
    EXPECT_NO_THROW(load_checkpoint(at_step(10), tiny_config()));
  }
}

TEST_F(CheckpointTest, DetectsATruncatedManifestAtAnyByte) {
  save(10);
  const std::string manifest = read_file(at_step(10) / "manifest.json", 1 << 20);
  for (std::size_t size = 0; size + 2 < manifest.size(); size += 7) {
    std::ofstream(at_step(10) / "manifest.json", std::ios::binary) << manifest.substr(0, size);
    EXPECT_THROW(load_checkpoint(at_step(10), tiny_config()), Error) << size;
  }
}

TEST_F(CheckpointTest, RefusesAFolderWhoseNameIsAnotherStep) {
  save(10);
  fs::rename(at_step(10), at_step(30));
  EXPECT_THROW(load_checkpoint(at_step(30), tiny_config()), FormatError);
}

TEST_F(CheckpointTest, SaysSoWhenAllAreDamaged) {
  save(10);
  damage(at_step(10) / "adapter_config.json", 3);
  EXPECT_THAT(nkat::testing::message_of<DataError>([&] { load_newest_checkpoint(folder_.path(), tiny_config()); }),
              HasSubstr("all 1 checkpoints are damaged"));
}

TEST_F(CheckpointTest, NoneAtAllIsAFreshRun) {
  EXPECT_FALSE(load_newest_checkpoint(folder_.path(), tiny_config()).has_value());
}

TEST_F(CheckpointTest, NamesAModelOfAnotherSize) {
  save(10);
  models::ModelConfig other = tiny_config();
  other.hidden_size = 64;
  EXPECT_THROW(load_newest_checkpoint(folder_.path(), other), ShapeError);
}

TEST_F(CheckpointTest, KeepsTheNewestAndStepZero) {
  for (const std::int64_t step : {0, 10, 20, 30, 40}) save(step);
  remove_old_checkpoints(folder_.path(), 40, 2);
  for (const auto& [step, there] : {std::pair{0, true}, {10, false}, {20, false}, {30, true}, {40, true}})
    EXPECT_EQ(fs::exists(at_step(step)), there) << step;
  remove_old_checkpoints(folder_.path(), 40, 0);
  EXPECT_TRUE(fs::exists(at_step(30)));
}

// What the kernel reports of the folder: it goes as a whole, before the first of its files.
TEST_F(CheckpointTest, AFolderThatIsRemovedIsNeverSeenWithoutOneOfItsFiles) {
  for (const std::int64_t step : {10, 20}) save(step);
  const int watcher = ::inotify_init1(IN_NONBLOCK);
  ASSERT_GE(watcher, 0);
  ASSERT_GE(::inotify_add_watch(watcher, at_step(10).c_str(), IN_MOVE_SELF | IN_DELETE), 0);
  remove_old_checkpoints(folder_.path(), 20, 1);
  inotify_event first = {};
  alignas(inotify_event) std::array<char, 4096> events = {};
  ASSERT_GE(::read(watcher, events.data(), events.size()), static_cast<ssize_t>(sizeof first));
  std::memcpy(&first, events.data(), sizeof first);
  EXPECT_EQ(first.mask & (IN_MOVE_SELF | IN_DELETE), static_cast<std::uint32_t>(IN_MOVE_SELF));
  ::close(watcher);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_.path()), {}), 1);
}

TEST_F(CheckpointTest, AFolderHalfRemovedWhenTheTrainerWasKilledGoesWithTheNext) {
  for (const std::int64_t step : {10, 20}) save(step);
  fs::create_directories(folder_.path() / "removed");
  std::ofstream(folder_.path() / "removed" / "trainer_state.json") << "{}";
  remove_old_checkpoints(folder_.path(), 20, 1);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_.path()), {}), 1);
}

TEST_F(CheckpointTest, NeverRemovesTheOneJustWrittenForALaterDamagedOne) {
  for (const std::int64_t step : {0, 2, 4, 12}) save(step);
  remove_old_checkpoints(folder_.path(), 4, 1);
  EXPECT_TRUE(fs::exists(at_step(4)));
  EXPECT_FALSE(fs::exists(at_step(2)));
  set_aside_later_checkpoints(folder_.path(), 4);
  EXPECT_FALSE(fs::exists(at_step(12)));
  EXPECT_TRUE(fs::exists(folder_.path() / "damaged-step-000012"));
}

TEST_F(CheckpointTest, PassesOverAManifestWithWrongTypes) {
  save(10);
  save(20);
  std::ofstream(at_step(20) / "manifest.json") << R"({"files":{"trainer_state.json":{"size":"256","sha256":5}}})";
  EXPECT_EQ(load_newest_checkpoint(folder_.path(), tiny_config())->state.step, 10);
}

TEST_F(CheckpointTest, ReplacesTheAdapterFolderAsAWhole) {
  const fs::path adapter = folder_.path() / "adapter";
  publish_adapter(adapter, state(1).adapter, tiny_config(), identity_.base);
  publish_adapter(adapter, state(2).adapter, tiny_config(), identity_.base);
  EXPECT_TRUE(models::load_adapter(adapter, tiny_config()).adapter.weight.equal(state(2).adapter.weight));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_.path()), {}), 1);
}

}  // namespace
}  // namespace nkat::train
