#include "data/run/run_layout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/temporary_folder.h"

namespace nkat::data {
namespace {

using ::testing::ElementsAre;

TEST(RunLayout, NamesAStepFolderAndReadsItsStepBack) {
  EXPECT_EQ(step_folder_name(50), "step-000050");
  for (const std::int64_t step : {0, 7, 999'999, 1'000'000, 123'456'789})
    EXPECT_EQ(step_of_folder(step_folder_name(step)), step);
}

TEST(RunLayout, TakesNoOtherNameForAStep) {
  for (const char* name : {"", "step-", "step-50", "step-0000050", "step-00005x", "step--00050", "damaged-step-000050",
                           "step-000050.nkat-tmp-1-0", "step-99999999999999999999"})
    EXPECT_FALSE(step_of_folder(name).has_value()) << name;
}

TEST(RunLayout, ListsSavedStepsInOrder) {
  const nkat::testing::TemporaryFolder folder;
  for (const char* name : {"step-1000000", "step-000200", "step-000050", "removed"})
    fs::create_directories(folder.path() / name);
  EXPECT_THAT(saved_steps(folder.path()), ElementsAre(50, 200, 1'000'000));
  EXPECT_THAT(saved_steps(folder.path() / "nowhere"), ElementsAre());
}

}  // namespace
}  // namespace nkat::data
