#include "models/generation/kv_cache.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace nkat::models {
namespace {

// A row has 32 query channels, then 2 key heads and 2 value heads of 8 channels.
constexpr layers::HeadShape kHeads{.num_heads = 4, .num_key_value_heads = 2, .head_dim = 8};
constexpr std::int64_t kRow = 64, kFirstKey = 32, kFirstValue = 48;

// Rows whose entries count on from `first`.
at::Tensor counting_rows(std::int64_t rows, std::int64_t first) {
  return (at::arange(rows * kRow) + first).view({rows, kRow}).to(at::kFloat);
}

// Keys or values of such rows by position, head and channel; first: the first entry.
at::Tensor counted(std::int64_t positions, std::int64_t first) {
  const at::Tensor position = at::arange(positions).view({-1, 1, 1}), head = at::arange(2).view({-1, 1});
  return (kRow * position + 8 * head + at::arange(8) + first).to(at::kFloat);
}

void append(KvCache& cache, const at::Tensor& rows) {
  cache.write(0, rows);
  cache.advance(rows.size(0));
}

// Positions that a layer has room for; in float32 one takes 2 x 2 x 8 x 4 bytes.
std::size_t capacity(const KvCache& cache) { return cache.keys(0, 0).storage().nbytes() / 128; }

TEST(KvCache, HoldsKeysAndValuesOfEachLayerByPosition) {
  KvCache cache(2, kHeads, at::kFloat);
  cache.write(0, counting_rows(3, 0));
  cache.write(1, counting_rows(3, 1000));
  cache.advance(3);
  append(cache, counting_rows(1, 3 * kRow));
  EXPECT_EQ(cache.length(), 4);
  EXPECT_TRUE(at::equal(cache.keys(0, 4), counted(4, kFirstKey)));
  EXPECT_TRUE(at::equal(cache.values(0, 4), counted(4, kFirstValue)));
  EXPECT_TRUE(at::equal(cache.keys(1, 3), counted(3, 1000 + kFirstKey)));
  EXPECT_TRUE(at::equal(cache.values(1, 3), counted(3, 1000 + kFirstValue)));
}

TEST(KvCache, GrowsByDoublingOrAtOnceToWhatWasReserved) {
  KvCache doubling(1, kHeads, at::kFloat), reserved(1, kHeads, at::kFloat);
  append(doubling, counting_rows(1, 0));
  EXPECT_EQ(capacity(doubling), 64U);
  append(doubling, counting_rows(64, kRow));
  EXPECT_EQ(capacity(doubling), 128U);
  EXPECT_TRUE(at::equal(doubling.values(0, 65), counted(65, kFirstValue)));
  append(doubling, counting_rows(200, 0));
  EXPECT_EQ(capacity(doubling), 265U);
  reserved.reserve(100);
  append(reserved, counting_rows(1, 0));
  EXPECT_EQ(capacity(reserved), 100U);
  append(reserved, counting_rows(100, 0));
  EXPECT_EQ(capacity(reserved), 200U);
}

TEST(KvCache, IsWrittenOnBehindWhatATruncationKeepsAndClearingFreesIt) {
  KvCache cache(1, kHeads, at::kFloat);
  append(cache, counting_rows(5, 0));
  cache.truncate(2);
  append(cache, counting_rows(2, 5000));
  EXPECT_TRUE(at::equal(cache.keys(0, 2), counted(2, kFirstKey)));
  EXPECT_TRUE(at::equal(cache.keys(0, 4).narrow(0, 2, 2), counted(2, 5000 + kFirstKey)));
  EXPECT_THROW(cache.truncate(5), InternalError);
  cache.clear();
  EXPECT_EQ(cache.length(), 0);
  EXPECT_EQ(capacity(cache), 0U);
}

}  // namespace
}  // namespace nkat::models
