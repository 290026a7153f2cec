// The files of a checkpoint: manifest, adapter_config.json and trainer_state.json.
#include "data/run/checkpoint_files.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files/sha256.h"
#include "data/run/adapter_config.h"
#include "tests/support/mutations.h"
#include "tests/support/temporary_folder.h"

namespace nkat::data {
namespace {

using ::testing::HasSubstr;

class CheckpointFilesTest : public ::testing::Test {
 protected:
  std::map<std::string, std::string> files_ = {
      {kAdapterModelFile, "weights"},
      {kAdapterConfigFile,
       adapter_config_text(
           {.base = {"name", "abc", ""}, .hidden_size = 16, .num_hidden_layers = 4, .first_adapter_layer = 1})},
      {kStateTensors, "moments"},
      {kStateJson, trainer_state_text({.step = 3})}};
  void write() {
    for (const auto& [name, bytes] : files_) folder_.write(name, bytes);
    folder_.write(kManifest, manifest_text(files_));
  }
  template <class Read>
  std::string error_of(const Read& read) {
    return nkat::testing::complaint_about([&](const std::string&) { read(folder_.path()); }, "");
  }
  nkat::testing::TemporaryFolder folder_;
};

TEST_F(CheckpointFilesTest, AManifestHoldsForItsOwnFiles) {
  write();
  EXPECT_EQ(error_of(verify_manifest), "");
}

TEST_F(CheckpointFilesTest, AManifestNamesTheFileThatDiffersOrIsMissing) {
  for (const char* name : {kAdapterModelFile, kAdapterConfigFile, kStateTensors, kStateJson}) {
    write();
    const std::string bytes = files_[name];
    folder_.write(name, bytes + "x");
    EXPECT_THAT(error_of(verify_manifest),
                HasSubstr(fmt::format("{}: expected {} bytes, as in the manifest, found {} bytes; the file is damaged: "
                                      "restore it, or use another checkpoint",
                                      name, bytes.size(), bytes.size() + 1)));
    const std::string other = "x" + bytes.substr(1);
    folder_.write(name, other);
    EXPECT_THAT(
        error_of(verify_manifest),
        HasSubstr(fmt::format("{}: expected SHA-256 {}, as in the manifest, found SHA-256 {}; the file is damaged",
                              name, sha256_hex(bytes), sha256_hex(other))));
    fs::remove(folder_.path() / name);
    EXPECT_THAT(error_of(verify_manifest), HasSubstr(name)) << name;
  }
}

TEST_F(CheckpointFilesTest, AManifestWithoutAFileOrOfAnotherTypeIsRefused) {
  write();
  folder_.write(kManifest, R"({"version": 1, "files": {}})");
  EXPECT_THAT(error_of(verify_manifest),
              HasSubstr("manifest.json: files: key 'adapter_model.safetensors': expected an object, found nothing"));
  folder_.write(kManifest, R"({"version": 1, "files": {"adapter_model.safetensors": {"size": "7", "sha256": ""}}})");
  EXPECT_THAT(error_of(verify_manifest), HasSubstr("key 'size': expected a whole number of at least 0, found \"7\""));
}

// Every release has written the version.
TEST_F(CheckpointFilesTest, AManifestWithoutAVersionIsRefused) {
  write();
  for (const char* version : {"", R"("version": 0, )", R"("version": "1", )"}) {
    folder_.write(kManifest, fmt::format(R"({{{}"files": {{}}}})", version));
    EXPECT_THAT(error_of(verify_manifest),
                HasSubstr("manifest.json: key 'version': expected a whole number of at least 1, found "))
        << version;
  }
}

TEST_F(CheckpointFilesTest, AManifestOfANewerVersionIsRefusedAsSuchWhateverElseItHolds) {
  folder_.write(kManifest, R"({"version": 2, "parts": []})");
  EXPECT_THAT(nkat::testing::message_of<NewerFormatError>([&] { verify_manifest(folder_.path()); }),
              HasSubstr("manifest.json: key 'version': expected at most 1, found 2; a newer nkat wrote it: use that"));
}

TEST_F(CheckpointFilesTest, ATrainerStateOfANewerVersionIsRefusedByBothOfItsReaders) {
  folder_.write(kStateJson, R"({"version": 2, "step": "three"})");
  for (const auto& read : {read_trainer_state, read_saved_step}) {
    EXPECT_THAT(nkat::testing::message_of<NewerFormatError>([&] { read(folder_.path()); }),
                HasSubstr("trainer_state.json: key 'version': expected at most 1, found 2; a newer nkat wrote it"));
  }
}

TEST_F(CheckpointFilesTest, AnAdapterConfigComesBack) {
  write();
  const AdapterConfig config = read_adapter_config(folder_.path());
  EXPECT_EQ(config.base.base_model_name_or_path, "name");
  EXPECT_EQ(config.base.base_sha256, "abc");
  EXPECT_EQ(config.base.base_norms_sha256, "");
  EXPECT_EQ(config.blocks(), 2);
  EXPECT_EQ(config.layers(), 3);
}

TEST_F(CheckpointFilesTest, ATrainerStateComesBack) {
  StepMetrics pending{.step = 3, .loss = 1.5, .alpha = {-5.0}, .gate_force = {0.25}};
  folder_.write(kStateJson, trainer_state_text({.step = 3,
                                                .data_position = 96,
                                                .updates = 2,
                                                .seed = 4'294'967'295,
                                                .data_sha256 = "data",
                                                .base_sha256 = "base",
                                                .program = "1",
                                                .libtorch = "2",
                                                .pending_metrics = pending}));
  const SavedTrainerState state = read_trainer_state(folder_.path());
  EXPECT_EQ(state.step, 3);
  EXPECT_EQ(state.data_position, 96);
  EXPECT_EQ(state.updates, 2);
  EXPECT_EQ(state.seed, 4'294'967'295u);
  EXPECT_EQ(state.data_sha256, "data");
  EXPECT_EQ(state.base_sha256, "base");
  ASSERT_TRUE(state.pending_metrics.has_value());
  EXPECT_EQ(to_json_line(*state.pending_metrics), to_json_line(pending));
  EXPECT_EQ(to_json_line(*read_saved_step(folder_.path()).pending_metrics), to_json_line(pending));
}

TEST_F(CheckpointFilesTest, ATrainerStateWithoutAVersionOrAKeyIsRefused) {
  folder_.write(kStateJson, R"({"step": 3})");
  for (const auto& read : {read_trainer_state, read_saved_step}) {
    EXPECT_THAT(error_of(read), HasSubstr("trainer_state.json: key 'version': expected a whole number of at least 1"));
  }
  folder_.write(kStateJson, R"({"version": 1, "step": 3})");
  EXPECT_THAT(error_of(read_trainer_state), HasSubstr("key 'data_position': expected a whole number"));
  EXPECT_EQ(read_saved_step(folder_.path()).step, 3);
}

}  // namespace
}  // namespace nkat::data
