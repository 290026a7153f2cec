#include "data/formats/chunked_file.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/temporary_folder.h"

namespace nkat::data {
namespace {

TEST(ChunkedFile, GivesTheBytesInOrderAndTheirHash) {
  const nkat::testing::TemporaryFolder folder;
  std::string bytes;
  for (int i = 0; bytes.size() < 2'500'000; ++i) bytes += std::to_string(i);
  ChunkedFile file(folder.write("x", bytes));
  EXPECT_EQ(file.size(), bytes.size());
  EXPECT_EQ(file.rest(), "");
  std::string taken;
  while (file.read_more()) {
    const std::size_t some = file.rest().size() - std::min<std::size_t>(file.rest().size(), 1000);
    taken += file.rest().substr(0, some);
    file.take(some);
    EXPECT_EQ(file.taken(), taken.size());
  }
  EXPECT_EQ(taken + std::string(file.rest()), bytes);
  EXPECT_EQ(file.sha256(), sha256_hex(bytes));
}

TEST(ChunkedFile, HashesAFileInPieces) {
  const nkat::testing::TemporaryFolder folder;
  const std::string bytes(3'000'000, 'z');
  EXPECT_EQ(sha256_of_file(folder.write("z", bytes)), sha256_hex(bytes));
  EXPECT_EQ(sha256_of_file(folder.write("empty", "")), sha256_hex(""));
}

TEST(ChunkedFile, RefusesWhatIsNoFile) {
  const nkat::testing::TemporaryFolder folder;
  EXPECT_THROW(ChunkedFile(folder.path() / "nowhere"), DataError);
  EXPECT_THROW(ChunkedFile{folder.path()}, DataError);
}

}  // namespace
}  // namespace nkat::data
