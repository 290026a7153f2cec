#include "core/plot_page.h"

#include <gtest/gtest.h>

#include "tests/support/temporary_folder.h"

namespace nkat {
namespace {

using testing::TemporaryFolder;

TEST(PlotPage, DrawsATableUnderAPathWithAQuote) {
  const TemporaryFolder folder;
  PlotPage page(200, 100);
  page << "plot " << page.data(PlotPoints{{1, 2}, {2, NAN}, {3, 4}}) << " with lines\n";
  ASSERT_TRUE(page.write(folder.path() / "it's.png"));
  EXPECT_EQ(read_file(folder.path() / "it's.png", 1 << 20).substr(1, 3), "PNG");
}

TEST(PlotPage, KeepsTheOldFileWhenACommandFails) {
  const TemporaryFolder folder;
  const fs::path path = folder.write("plot.png", "old");
  PlotPage page(200, 100);
  page << "plot sin(x)\nset no_such_option\nplot cos(x)\n";
  EXPECT_FALSE(page.write(path));
  EXPECT_EQ(read_file(path, 100), "old");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()), 1);
}

}  // namespace
}  // namespace nkat
