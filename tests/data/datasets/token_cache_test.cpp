#include "data/datasets/token_cache.h"

#include <cstring>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/mutations.h"
#include "tests/support/temporary_folder.h"

namespace nkat::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class TokenCacheTest : public ::testing::Test {
 protected:
  std::string written() {
    const fs::path path = folder_.path() / "cache";
    TokenCacheWriter writer(path);
    writer.add(std::vector<std::uint32_t>{1, 2, 3}, 4);
    writer.add(std::vector<std::uint32_t>{9}, 8);
    writer.add(std::vector<std::uint32_t>{7}, 9);
    writer.finish("{}");
    return read_file(path, 1 << 20);
  }
  // A file whose hash is right, whatever its body says.
  static std::string sealed(std::string body, std::uint64_t tokens, std::uint64_t samples, std::uint64_t summary) {
    for (const std::uint64_t count : {tokens, samples, summary}) {
      body.append(reinterpret_cast<const char*>(&count), sizeof count);
    }
    return body + sha256_hex(body) + "NKATTOK1";
  }
  nkat::testing::Reader reader() {
    return [this](const std::string& bytes) { TokenCache(folder_.write("x", bytes)); };
  }
  nkat::testing::TemporaryFolder folder_;
};

TEST_F(TokenCacheTest, GivesBackWhatWasAdded) {
  const TokenCache cache(folder_.write("copy", written()));
  ASSERT_EQ(cache.size(), 3);
  EXPECT_THAT(cache.sample(0), ElementsAre(1u, 2u, 3u));
  EXPECT_THAT(cache.sample(1), ElementsAre(9u));
  EXPECT_THAT(cache.sample(2), ElementsAre(7u));
  EXPECT_EQ(cache.line(1), 8);
  EXPECT_EQ(cache.summary(), "{}");
}

TEST_F(TokenCacheTest, HoldsNoSampleToo) {
  const fs::path path = folder_.path() / "empty";
  TokenCacheWriter writer(path);
  writer.finish("nothing");
  EXPECT_EQ(TokenCache(path).size(), 0);
}

TEST_F(TokenCacheTest, RefusesEveryTruncationAndEveryBitFlip) {
  const std::string file = written();
  EXPECT_EQ(nkat::testing::refused_truncations(reader(), file), static_cast<int>(file.size()));
  EXPECT_EQ(nkat::testing::refused_bit_flips(reader(), file), static_cast<int>(8 * file.size()));
}

TEST_F(TokenCacheTest, RefusesMadeUpSizesUnderARightHash) {
  const auto words = [](std::vector<std::uint64_t> all) {
    return std::string(reinterpret_cast<const char*>(all.data()), 8 * all.size());
  };
  constexpr std::uint64_t kHuge = ~std::uint64_t{0};
  const struct {
    const char* name;
    std::string bytes;
    const char* message;
  } corruptions[] = {
      {"Empty", "", "without its end"},
      {"OtherMagic", std::string(200, 'x'), "without its end"},
      {"AppendedByte", written() + "x", "without its end"},
      {"PrependedByte", "x" + written(), "damaged bytes"},
      {"TokensHuge", sealed(words({1, 1, 1}), kHuge, 1, 0), "sizes don't match"},
      {"TokensWrap", sealed(words({1, 1, 1}), std::uint64_t{1} << 62, 1, 0), "sizes don't match"},
      {"SamplesHuge", sealed(words({1, 1, 1}), 2, kHuge, 0), "sizes don't match"},
      {"SamplesWrap", sealed(words({1, 1, 1}), 2, std::uint64_t{1} << 60, 0), "sizes don't match"},
      {"SummaryHuge", sealed(words({1, 1, 1}), 2, 1, kHuge), "sizes don't match"},
      {"SummaryTooShort", sealed(words({1, 1, 1}) + "abc", 2, 1, 2), "sizes don't match"},
      {"SummaryTooLong", sealed(words({1, 1, 1}) + "abc", 2, 1, 4), "sizes don't match"},
      {"EndBeyondTokens", sealed(words({1, 3, 1}), 2, 1, 0), "follow each other"},
      {"EndsFall", sealed(words({1, 2, 1, 1, 1}), 2, 2, 0), "follow each other"},
      {"EmptySample", sealed(words({1, 0, 1}), 2, 1, 0), "follow each other"},
      {"TokensOfNoSample", sealed(words({1, 1, 1}), 2, 1, 0), "tokens of no sample"},
  };
  for (const auto& one : corruptions)
    EXPECT_THAT(nkat::testing::complaint_about(reader(), one.bytes), HasSubstr(one.message)) << one.name;
}

}  // namespace
}  // namespace nkat::data
