#include "data/datasets/token_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/files/sha256.h"
#include "tests/support/mutations.h"
#include "tests/support/temporary_folder.h"

namespace nkat::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

using Tokens = std::vector<std::uint32_t>;
using Numbers = std::vector<std::uint64_t>;

template <class Number>
std::string_view as_text(const std::vector<Number>& all) {
  return {reinterpret_cast<const char*>(all.data()), sizeof(Number) * all.size()};
}

class TokenCacheTest : public ::testing::Test {
 protected:
  std::string written() {
    const fs::path path = folder_.path() / "cache";
    TokenCacheWriter writer(path, "key");
    writer.add(Tokens{1, 2, 3}, 4);
    writer.add(Tokens{9}, 8);
    writer.add(Tokens{7}, 9);
    writer.finish("{}");
    writer.publish();
    return read_file(path, 1 << 20);
  }
  // A file whose hash is right, whatever it says. Its tensors lie in the order of the official writer.
  static std::string sealed(const Tokens& tokens, const Numbers& ends, const Numbers& lines,
                            const std::string& version = "4") {
    const auto tensor = [](const char* name, DType type, const auto& all) {
      return TensorToWrite{name, type, {static_cast<std::int64_t>(all.size())}, std::as_bytes(std::span(all))};
    };
    const std::string hashed = std::string(as_text(tokens)) + std::string(as_text(ends)) + std::string(as_text(lines));
    return serialize_safetensors(
        {tensor("tokens", DType::kU32, tokens), tensor("ends", DType::kU64, ends), tensor("lines", DType::kU64, lines)},
        {{"version", version}, {"key", "key"}, {"summary", "{}"}, {"sha256", sha256_hex(hashed + "key{}")}});
  }
  nkat::testing::Reader reader() {
    return [this](const std::string& bytes) { TokenCache(folder_.write("x", bytes), "key"); };
  }
  nkat::testing::TemporaryFolder folder_;
};

TEST_F(TokenCacheTest, GivesBackWhatWasAdded) {
  const TokenCache cache(folder_.write("copy", written()), "key");
  ASSERT_EQ(cache.size(), 3);
  EXPECT_THAT(cache.sample(0), ElementsAre(1u, 2u, 3u));
  EXPECT_THAT(cache.sample(1), ElementsAre(9u));
  EXPECT_THAT(cache.sample(2), ElementsAre(7u));
  EXPECT_EQ(cache.line(1), 8);
  EXPECT_EQ(cache.summary(), "{}");
}

TEST_F(TokenCacheTest, IsASafetensorsFileWithPaddedTokens) {
  const SafetensorsFile file(folder_.write("copy", written()));
  EXPECT_TRUE(is_token_cache(file));
  EXPECT_THAT(file.find("tokens")->shape, ElementsAre(6));  // five and one of padding
  EXPECT_THAT(file.find("ends")->shape, ElementsAre(3));
  EXPECT_EQ(file.metadata().at("key"), "key");
  EXPECT_EQ(file.metadata().at("version"), "4");
}

TEST_F(TokenCacheTest, HoldsNoSampleToo) {
  TokenCacheWriter writer(folder_.path() / "empty", "key");
  writer.finish("nothing");
  EXPECT_EQ(TokenCache(writer.temporary_path(), "key").size(), 0);
}

TEST_F(TokenCacheTest, LeavesNothingBehindUnlessItIsPublished) {
  {
    TokenCacheWriter writer(folder_.path() / "a", "key");
    writer.add(Tokens{1}, 1);
    writer.finish("{}");
  }
  EXPECT_TRUE(fs::is_empty(folder_.path()));
}

TEST_F(TokenCacheTest, RefusesTheCacheOfAnotherFile) {
  const fs::path path = folder_.write("copy", written());
  EXPECT_THROW(TokenCache(path, "another key"), FormatError);
}

// A JSON text ends at a NUL, which one flipped bit makes of a space of the header's padding: the content is the same.
TEST_F(TokenCacheTest, RefusesEveryTruncationAndEveryBitFlip) {
  const std::string file = written();
  // The header is mostly spaces: all bits of what it says and of the data, every 997th byte between them.
  const std::size_t header_end = file.find("  ", 8);
  const std::size_t data_begin = 8 + (32 << 10);
  ASSERT_LT(header_end, data_begin);
  const auto flips = [&](std::size_t begin, std::size_t end) {
    EXPECT_EQ(nkat::testing::refused_bit_flips(reader(), file, begin, end), static_cast<int>(8 * (end - begin)));
  };
  flips(0, header_end);
  flips(data_begin, file.size());
  for (std::size_t i = header_end; i < data_begin; i += 997) flips(i, i + 1);
  for (std::size_t size = 0; size < file.size(); size += size < 600 ? 1 : 101)
    EXPECT_NE(nkat::testing::complaint_about(reader(), file.substr(0, size)), "") << size;
  EXPECT_NE(nkat::testing::complaint_about(reader(), file.substr(0, file.size() - 1)), "");
}

TEST_F(TokenCacheTest, RefusesMadeUpContentUnderARightHash) {
  const std::string plain = serialize_safetensors({}, {{"format", "pt"}});
  const Tokens two = {1, 2};
  const struct {
    const char* name;
    std::string bytes;
    const char* message;
  } corruptions[] = {
      {"Empty", "", "8 bytes"},
      {"AppendedByte", written() + "x", "bytes appended"},
      {"OtherSafetensors", plain, "the metadata key 'version' is missing"},
      {"OtherVersion", sealed(two, {2}, {1}, "1"), "version: expected 4, found 1"},
      {"FewerLines", sealed(two, {1, 2}, {1}), "ends and lines differ"},
      {"EndBeyondTokens", sealed(two, {3}, {1}), "follow each other"},
      {"EndsFall", sealed(two, {2, 1}, {1, 1}), "follow each other"},
      {"EmptySample", sealed(two, {0}, {1}), "follow each other"},
      {"TokensOfNoSample", sealed({1, 2, 3, 4}, {2}, {1}), "tokens of no sample"},
  };
  EXPECT_EQ(nkat::testing::complaint_about(reader(), sealed(two, {1, 2}, {1, 2})), "");
  for (const auto& one : corruptions)
    EXPECT_THAT(nkat::testing::complaint_about(reader(), one.bytes), HasSubstr(one.message)) << one.name;
}

}  // namespace
}  // namespace nkat::data
