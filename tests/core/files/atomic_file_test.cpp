#include "core/files/atomic_file.h"

#include <sys/resource.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/files/file.h"
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

class AtomicFileTest : public ::testing::Test {
 protected:
  std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (const auto& entry : fs::directory_iterator(folder_.path())) all.push_back(entry.path().filename());
    return all;
  }
  testing::TemporaryFolder folder_;
};

TEST_F(AtomicFileTest, ReplacesAFileWhole) {
  const fs::path path = folder_.path() / "a";
  write_file_atomically(path, "one");
  write_file_atomically(path, "two");
  EXPECT_EQ(read_file(path, 10), "two");
  EXPECT_THAT(names(), UnorderedElementsAre("a"));
}

TEST_F(AtomicFileTest, LeavesTheOldFileWhenTheDiskRefuses) {
  const fs::path path = folder_.write("a", "old");
  {
    const FileSizeLimit limit(1000);
    EXPECT_THROW(write_file_atomically(path, std::string(2000, 'n')), DeviceError);
  }
  EXPECT_EQ(read_file(path, 10), "old");
  EXPECT_THAT(names(), UnorderedElementsAre("a"));
}

TEST_F(AtomicFileTest, SaysWhereItCannotWrite) {
  EXPECT_THROW(write_file_atomically(folder_.path() / "nowhere" / "a", "x"), DeviceError);
  EXPECT_THROW(write_file_atomically("/dev/null/a", "x"), DeviceError);
  EXPECT_THROW(create_folders("/dev/null/a"), DeviceError);
}

std::span<const std::byte> as_bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

TEST_F(AtomicFileTest, StreamsAFileOfUnknownSizeWhoseStartIsKnownLast) {
  const fs::path path = folder_.path() / "a";
  AtomicFile file(path);
  file.append(as_bytes("????"));
  file.append(as_bytes("body"));
  file.replace_start(as_bytes("head"));
  file.append(as_bytes("end"));
  EXPECT_THROW(file.replace_start(as_bytes("longer than all")), InternalError);
  EXPECT_FALSE(fs::exists(path));
  file.publish();
  EXPECT_EQ(read_file(path, 20), "headbodyend");
  EXPECT_THAT(names(), UnorderedElementsAre("a"));
}

TEST_F(AtomicFileTest, StreamsAFileWholeOrNotAtAll) {
  const fs::path path = folder_.write("a", "old");
  {
    AtomicFile file(path, 6);
    file.append(as_bytes("new"));
    EXPECT_EQ(read_file(path, 10), "old");
    EXPECT_THROW(file.publish(), InternalError);  // three bytes are missing
  }
  EXPECT_EQ(read_file(path, 10), "old");
  EXPECT_THAT(names(), UnorderedElementsAre("a"));
  AtomicFile file(path, 6);
  file.append(as_bytes("new"));
  file.append(as_bytes("er."));
  EXPECT_EQ(file.written(), 6U);
  file.publish();
  EXPECT_EQ(read_file(path, 10), "newer.");
  EXPECT_THAT(names(), UnorderedElementsAre("a"));
}

TEST_F(AtomicFileTest, StreamsNothingThatTheDiskHasNoRoomFor) {
  const testing::Reader start = [&](const std::string&) { AtomicFile(folder_.path() / "a", UINT64_MAX); };
  EXPECT_THAT(testing::complaint_about(start, ""), HasSubstr("expected 18446744073709551615 bytes of free disk space"));
  {
    const FileSizeLimit limit(1000);
    AtomicFile file(folder_.path() / "a", 2000);
    EXPECT_THROW(file.append(as_bytes(std::string(2000, 'n'))), DeviceError);
  }
  EXPECT_TRUE(names().empty());
}

// Of this process and of processes that live nothing is removed.
TEST_F(AtomicFileTest, RemovesWhatKilledProcessesStreamedUnderTheSameName) {
  const std::string dead = "a.nkat-tmp-2147483646-0";  // above the highest process number that Linux gives
  for (const std::string& name : {dead, std::string("b.nkat-tmp-2147483646-0"), std::string("a.nkat-tmp-1-0")})
    folder_.write(name, "x");
  AtomicFile(folder_.path() / "a", 1);
  EXPECT_THAT(names(), UnorderedElementsAre("b.nkat-tmp-2147483646-0", "a.nkat-tmp-1-0"));
}

TEST_F(AtomicFileTest, RemovesTheFoldersThatKilledProcessesLeftUnderTheSameName) {
  for (const char* name : {"a.nkat-tmp-2147483646-0", "b.nkat-tmp-2147483646-0", "a.nkat-tmp-1-0"})
    fs::create_directory(folder_.path() / name);
  AtomicFolder(folder_.path() / "a");
  EXPECT_THAT(names(), UnorderedElementsAre("b.nkat-tmp-2147483646-0", "a.nkat-tmp-1-0"));
}

TEST_F(AtomicFileTest, PublishesAFolderWholeOrNotAtAll) {
  const fs::path path = folder_.path() / "step-1";
  {
    AtomicFolder folder(path);
    folder.write("a", "1");
    EXPECT_FALSE(fs::exists(path));
  }
  EXPECT_TRUE(names().empty());
  {
    AtomicFolder folder(path);
    folder.write("a", "2");
    folder.publish();
  }
  EXPECT_EQ(read_file(path / "a", 10), "2");
  {
    AtomicFolder folder(path);
    folder.write("b", "3");
    folder.publish();
  }
  EXPECT_EQ(read_file(path / "b", 10), "3");
  EXPECT_FALSE(fs::exists(path / "a"));
  EXPECT_THAT(names(), UnorderedElementsAre("step-1"));
}

TEST_F(AtomicFileTest, LeavesTheOldFolderWhenTheDiskRefuses) {
  const fs::path path = folder_.path() / "step-1";
  {
    AtomicFolder folder(path);
    folder.write("a", "old");
    folder.publish();
  }
  {
    const FileSizeLimit limit(1000);
    AtomicFolder folder(path);
    EXPECT_THROW(folder.write("a", std::string(2000, 'n')), DeviceError);
  }
  EXPECT_EQ(read_file(path / "a", 10), "old");
  EXPECT_THAT(names(), UnorderedElementsAre("step-1"));
}

TEST_F(AtomicFileTest, AppendingSaysWhenTheDiskRefuses) {
  AppendFile file(folder_.path() / "log", 0);
  file.append("line\n");
  const FileSizeLimit limit(8);
  EXPECT_THAT(testing::complaint_about([&](const std::string& text) { file.append(text); }, "too long a line\n"),
              HasSubstr("writing failed"));
}

TEST_F(AtomicFileTest, RemovesWhatAKilledProcessLeft) {
  folder_.write("a", "x");
  folder_.write("b.nkat-tmp-99-0", "x");
  fs::create_directory(folder_.path() / "step-1.nkat-tmp-99-1");
  folder_.write("mine.nkat-tmp-backup.txt", "not of this form");
  remove_stale_temporaries(folder_.path());
  EXPECT_THAT(names(), UnorderedElementsAre("a", "mine.nkat-tmp-backup.txt"));
}

}  // namespace
}  // namespace nkat
