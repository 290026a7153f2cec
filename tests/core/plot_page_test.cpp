#include "core/plot_page.h"

#include <cstdlib>

#include <gmock/gmock.h>
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

// The program of that name for as long as it lives.
class FakeGnuplot {
 public:
  explicit FakeGnuplot(const std::string& script) : before_(std::getenv("PATH")) {
    const fs::path program = folder_.write("gnuplot", "#!/bin/sh\n" + script);
    fs::permissions(program, fs::perms::owner_all);
    setenv("PATH", folder_.path().c_str(), 1);
  }
  ~FakeGnuplot() { setenv("PATH", before_.c_str(), 1); }

 private:
  TemporaryFolder folder_;
  std::string before_;
};

TEST(PlotPage, SurvivesAGnuplotThatReadsNothing) {
  const TemporaryFolder folder;
  const FakeGnuplot gnuplot("exit 1\n");
  PlotPage page(200, 100);
  page << "plot " << page.data(PlotPoints(100'000, {1, 2})) << "\n";  // more than a pipe holds
  EXPECT_FALSE(page.write(folder.path() / "plot.png"));
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(PlotPage, SaysThatGnuplotIsNotInstalled) {
  const TemporaryFolder folder, empty;
  const std::string before = std::getenv("PATH");
  setenv("PATH", empty.path().c_str(), 1);
  PlotPage page(200, 100);
  page << "plot sin(x)\n";
  ::testing::internal::CaptureStderr();
  EXPECT_FALSE(page.write(folder.path() / "plot.png"));
  EXPECT_THAT(::testing::internal::GetCapturedStderr(),
              ::testing::HasSubstr("not found; scripts/setup installs gnuplot"));
  setenv("PATH", before.c_str(), 1);
}

}  // namespace
}  // namespace nkat
