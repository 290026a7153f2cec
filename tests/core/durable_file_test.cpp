// The writing half of core/file.h: whole or absent, also when the disk refuses.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "core/error.h"
#include "core/file.h"
#include "core/signals.h"
#include "tests/support/mutations.h"
#include "tests/support/temporary_folder.h"

namespace nkat {
namespace {

using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

// Writes beyond this many bytes a file fail while it lives.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    ignore_write_signals();
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() { setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_{};
};

class DurableFileTest : public ::testing::Test {
 protected:
  std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (const auto& entry : fs::directory_iterator(folder_.path())) all.push_back(entry.path().filename());
    return all;
  }
  testing::TemporaryFolder folder_;
};

TEST_F(DurableFileTest, ReplacesAFileWhole) {
  const fs::path path = folder_.path() / "a";
  write_file_durably(path, "one");
  write_file_durably(path, "two");
  EXPECT_EQ(read_file(path, 10), "two");
  EXPECT_THAT(names(), UnorderedElementsAre("a"));
}

TEST_F(DurableFileTest, LeavesTheOldFileWhenTheDiskRefuses) {
  const fs::path path = folder_.write("a", "old");
  {
    const FileSizeLimit limit(1000);
    EXPECT_THROW(write_file_durably(path, std::string(2000, 'n')), DeviceError);
  }
  EXPECT_EQ(read_file(path, 10), "old");
  EXPECT_THAT(names(), UnorderedElementsAre("a"));
}

TEST_F(DurableFileTest, SaysWhereItCannotWrite) {
  EXPECT_THROW(write_file_durably(folder_.path() / "nowhere" / "a", "x"), DeviceError);
  EXPECT_THROW(write_file_durably("/dev/null/a", "x"), DeviceError);
  EXPECT_THROW(create_folders("/dev/null/a"), DeviceError);
}

TEST_F(DurableFileTest, PublishesAFolderWholeOrNotAtAll) {
  const fs::path path = folder_.path() / "step-1";
  {
    DurableFolder folder(path);
    folder.write("a", "1");
    EXPECT_FALSE(fs::exists(path));
  }
  EXPECT_TRUE(names().empty());
  {
    DurableFolder folder(path);
    folder.write("a", "2");
    folder.publish();
  }
  EXPECT_EQ(read_file(path / "a", 10), "2");
  {
    DurableFolder folder(path);
    folder.write("b", "3");
    folder.publish();
  }
  EXPECT_EQ(read_file(path / "b", 10), "3");
  EXPECT_FALSE(fs::exists(path / "a"));
  EXPECT_THAT(names(), UnorderedElementsAre("step-1"));
}

TEST_F(DurableFileTest, LeavesTheOldFolderWhenTheDiskRefuses) {
  const fs::path path = folder_.path() / "step-1";
  {
    DurableFolder folder(path);
    folder.write("a", "old");
    folder.publish();
  }
  {
    const FileSizeLimit limit(1000);
    DurableFolder folder(path);
    EXPECT_THROW(folder.write("a", std::string(2000, 'n')), DeviceError);
  }
  EXPECT_EQ(read_file(path / "a", 10), "old");
  EXPECT_THAT(names(), UnorderedElementsAre("step-1"));
}

TEST_F(DurableFileTest, AppendingSaysWhenTheDiskRefuses) {
  AppendFile file(folder_.path() / "log", 0);
  file.append("line\n");
  const FileSizeLimit limit(8);
  EXPECT_THAT(testing::complaint_about([&](const std::string& text) { file.append(text); }, "too long a line\n"),
              HasSubstr("writing failed"));
}

TEST_F(DurableFileTest, RemovesWhatAKilledProcessLeft) {
  folder_.write("a", "x");
  folder_.write("b.nkat-tmp-99-0", "x");
  fs::create_directory(folder_.path() / "step-1.nkat-tmp-99-1");
  remove_stale_temporaries(folder_.path());
  EXPECT_THAT(names(), UnorderedElementsAre("a"));
}

}  // namespace
}  // namespace nkat
