#include "data/datasets/sampler.h"

#include <algorithm>
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/random.h"

namespace nkat::data {
namespace {

std::vector<std::int64_t> epoch(Sampler& sampler, std::int64_t size, std::int64_t number) {
  std::vector<std::int64_t> order;
  for (std::int64_t i = 0; i < size; ++i) order.push_back(sampler.at(number * size + i));
  return order;
}

TEST(Sampler, GivesEverySampleOnceAnEpoch) {
  for (const std::int64_t size : {1, 2, 31, 1000}) {
    Sampler sampler(size, 5);
    for (const std::int64_t number : {0, 1, 7}) {
      std::vector<std::int64_t> order = epoch(sampler, size, number);
      std::ranges::sort(order);
      std::vector<std::int64_t> all(static_cast<std::size_t>(size));
      std::iota(all.begin(), all.end(), 0);
      EXPECT_EQ(order, all);
    }
  }
}

TEST(Sampler, IsTheDocumentedFunctionOfSeedAndEpoch) {
  std::vector<std::uint32_t> expected(50);
  std::iota(expected.begin(), expected.end(), 0u);
  RandomStream random(9, "shuffle", 3);
  for (std::size_t i = 50; i > 1; --i) std::swap(expected[i - 1], expected[random.below(i)]);
  Sampler sampler(50, 9);
  const std::vector<std::int64_t> order = epoch(sampler, 50, 3);
  EXPECT_TRUE(std::ranges::equal(order, expected));
}

TEST(Sampler, DiffersBetweenEpochsAndSeeds) {
  Sampler one(100, 1);
  Sampler two(100, 2);
  EXPECT_NE(epoch(one, 100, 0), epoch(one, 100, 1));
  EXPECT_NE(epoch(one, 100, 0), epoch(two, 100, 0));
}

TEST(Sampler, GoesOnFromAnyPosition) {
  Sampler straight(13, 4);
  std::vector<std::int64_t> stream;
  for (int i = 0; i < 60; ++i) stream.push_back(straight.at(i));
  for (const int start : {0, 12, 13, 40}) {
    Sampler resumed(13, 4);
    for (int i = start; i < 60; ++i) EXPECT_EQ(resumed.at(i), stream[static_cast<std::size_t>(i)]);
  }
}

}  // namespace
}  // namespace nkat::data
