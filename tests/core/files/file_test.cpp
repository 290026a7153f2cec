#include "core/files/file.h"

#include <cstdlib>
#include <sys/stat.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/files/atomic_file.h"
#include "tests/support/mutations.h"
#include "tests/support/temporary_folder.h"

namespace nkat {
namespace {

using ::testing::HasSubstr;

class FileTest : public ::testing::Test {
 protected:
  testing::TemporaryFolder folder_;
};

std::string text_of(const MappedFile& map) {
  return {reinterpret_cast<const char*>(map.bytes().data()), map.bytes().size()};
}

TEST_F(FileTest, ReadsUpToTheLimit) {
  const fs::path path = folder_.write("a", "12345");
  EXPECT_EQ(read_file(path, 5), "12345");
  EXPECT_EQ(read_file(folder_.write("empty", ""), 0), "");
  EXPECT_THAT(testing::complaint_about([&](const std::string&) { read_file(path, 4); }, ""),
              HasSubstr("expected at most 4 bytes, found 5"));
}

TEST_F(FileTest, ReadsAnOpenFileInPiecesAndLessAtItsEnd) {
  const fs::path path = folder_.write("a", "12345");
  const FileDescriptor file = open_for_reading(path);
  std::string piece(3, ' ');
  EXPECT_EQ(read_bytes(file, piece, path), 3u);
  EXPECT_EQ(piece, "123");
  EXPECT_EQ(read_bytes(file, piece, path), 2u);
  EXPECT_EQ(piece.substr(0, 2), "45");
  EXPECT_EQ(read_bytes(file, piece, path), 0u);
  EXPECT_THAT(testing::complaint_about([&](const std::string&) { read_bytes({}, piece, path); }, ""),
              HasSubstr("a: can't be read: Bad file descriptor"));
}

TEST_F(FileTest, RefusesWhatIsNoFile) {
  EXPECT_THROW(read_file(folder_.path() / "nowhere", 1), DataError);
  EXPECT_THROW(read_file(folder_.path(), 1), DataError);
  EXPECT_THROW(read_file("/dev/null", 1), DataError);
  const fs::path pipe = folder_.path() / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THROW(read_file(pipe, 1), DataError);
  EXPECT_THROW(MappedFile{pipe}, DataError);
}

TEST_F(FileTest, RefusesAPointerInTheFilesPlaceHoweverItIsRead) {
  const auto complaint = [](const auto& read) {
    return testing::complaint_about([&](const std::string&) { read(); }, "");
  };
  const std::string lfs =
      "version https://git-lfs.github.com/spec/v1\noid "
      "sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\n"
      "size 12345\n";
  const fs::path path = folder_.write("model.safetensors", lfs);
  for (const std::string& said : {complaint([&] { read_file(path, 1 << 20); }), complaint([&] { MappedFile{path}; }),
                                  complaint([&] { open_for_reading(path); })}) {
    EXPECT_THAT(
        said, HasSubstr("model.safetensors: this is a git-lfs pointer of 130 bytes, not the file; run `git lfs pull`"));
  }
  EXPECT_THAT(
      complaint([&] { read_file(folder_.write("crlf", "version https://git-lfs.github.com/spec/v1\r\noid"), 99); }),
      HasSubstr("git-lfs pointer"));
  EXPECT_THAT(complaint([&] { read_file(folder_.write("annex", "/annex/objects/SHA256E-s5--ab.bin\n"), 99); }),
              HasSubstr("git-annex pointer of 34 bytes, not the file; run `git annex get`"));
  EXPECT_THAT(complaint([&] { read_file(folder_.write("xet", "# xet version 0\nfilesize = 5\nhash = 'ab'\n"), 99); }),
              HasSubstr("git-xet pointer of 41 bytes, not the file"));
}

TEST_F(FileTest, ReadsATextAboutPointers) {
  const std::string text = "A pointer begins with version https://git-lfs.github.com/spec/v1";
  EXPECT_EQ(read_file(folder_.write("a", text), 100), text);
  const std::string beginning = "version https://git-lfs.github.com/spec/v1\n",
                    longer = beginning + std::string(1000, 'x');
  EXPECT_EQ(read_file(folder_.write("b", longer), 2000), longer);  // beyond the format's 1024 bytes
  EXPECT_EQ(read_file(folder_.write("c", "version "), 100), "version ");
}

TEST_F(FileTest, MapsAndReleasesPages) {
  const std::string bytes(100'000, 'q');
  const MappedFile map(folder_.write("a", bytes));
  EXPECT_EQ(text_of(map), bytes);
  map.release(1, 99'998);
  EXPECT_EQ(text_of(map), bytes);
  EXPECT_TRUE(MappedFile(folder_.write("empty", "")).bytes().empty());
}

TEST_F(FileTest, MovesAMap) {
  MappedFile first(folder_.write("a", "abc"));
  MappedFile second(std::move(first));
  EXPECT_EQ(text_of(second), "abc");
  MappedFile third;
  third = std::move(second);
  EXPECT_EQ(text_of(third), "abc");
}

TEST_F(FileTest, AppendsBehindWhatIsKept) {
  const fs::path path = folder_.write("log", "one\ntwo\nhal");
  AppendFile file(path, 8);
  file.append("three\n");
  file.sync();
  EXPECT_EQ(read_file(path, 100), "one\ntwo\nthree\n");
}

TEST_F(FileTest, LocksAFolderOnce) {
  const FolderLock lock(folder_.path());
  EXPECT_THAT(testing::complaint_about([&](const std::string&) { FolderLock{folder_.path()}; }, ""),
              HasSubstr("in use by another process (process "));
}

TEST_F(FileTest, GivesALockBackAtItsEnd) {
  { const FolderLock lock(folder_.path()); }
  EXPECT_NO_THROW(FolderLock{folder_.path()});
}

TEST_F(FileTest, TakesTheCacheFolderFromTheEnvironment) {
  const fs::path wanted = folder_.path() / "deep" / "cache";
  setenv("NKAT_CACHE_DIR", wanted.c_str(), 1);
  EXPECT_EQ(cache_folder(), wanted);
  EXPECT_TRUE(fs::is_directory(wanted));
  setenv("NKAT_CACHE_DIR", "/dev/null/cache", 1);
  EXPECT_TRUE(cache_folder().empty());
  unsetenv("NKAT_CACHE_DIR");
}

TEST_F(FileTest, MeasuresFreeSpace) {
  EXPECT_GT(free_disk_space(folder_.path()), 0u);
  EXPECT_THROW(free_disk_space(folder_.path() / "nowhere"), DataError);
}

}  // namespace
}  // namespace nkat
