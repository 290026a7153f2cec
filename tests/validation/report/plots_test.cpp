#include "validation/report/plots.h"

#include <gtest/gtest.h>

#include "tests/support/temporary_folder.h"
#include "tests/validation/report/example_findings.h"

namespace nkat::validation {
namespace {

using nkat::testing::TemporaryFolder;
using testing::checked_findings;

TEST(Plots, DrawsEveryPlotOfARun) {
  const TemporaryFolder folder;
  const Findings findings = checked_findings();
  EXPECT_TRUE(plot_phase_transition(findings, folder.path() / "it's.png"));
  const std::vector<Image> images = draw_plots(findings, folder.path() / "plots");
  ASSERT_EQ(images.size(), 6u);
  for (const Image& image : images) EXPECT_EQ(read_file(image.path, 1 << 20).substr(1, 3), "PNG") << image.path;
}

TEST(Plots, LeavesOutWhatARunOfForcesAloneDoesNotHave) {
  const TemporaryFolder folder;
  Findings findings = checked_findings();
  findings.stability.reset();
  findings.geometry.clear();
  EXPECT_EQ(draw_plots(findings, folder.path()).size(), 2u);
}

}  // namespace
}  // namespace nkat::validation
