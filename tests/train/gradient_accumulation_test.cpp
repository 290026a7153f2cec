#include "train/gradient_accumulation.h"

#include <numeric>
#include <random>

#include <gtest/gtest.h>

namespace nkat::train {
namespace {

using Sizes = std::vector<std::int64_t>;
using Groups = std::vector<std::size_t>;

std::int64_t largest_sum(const Sizes& sizes, const Groups& groups) {
  std::int64_t largest = 0;
  std::size_t at = 0;
  for (const std::size_t count : groups) {
    std::int64_t sum = 0;
    for (std::size_t i = 0; i < count; ++i) sum += sizes.at(at++);
    largest = std::max(largest, sum);
  }
  EXPECT_EQ(at, sizes.size());
  return largest;
}

// Every way to cut sizes into `parts` groups.
std::int64_t best_sum(const Sizes& sizes, std::size_t first, std::size_t parts) {
  if (parts == 1)
    return std::accumulate(sizes.begin() + static_cast<std::ptrdiff_t>(first), sizes.end(), std::int64_t{0});
  std::int64_t best = std::numeric_limits<std::int64_t>::max(), head = 0;
  for (std::size_t end = first + 1; end + parts - 1 <= sizes.size(); ++end) {
    head += sizes[end - 1];
    best = std::min(best, std::max(head, best_sum(sizes, end, parts - 1)));
  }
  return best;
}

TEST(BalancedGroups, AreTheFewestWithTheSmallestLargest) {
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    Sizes sizes(1 + random() % 9);
    for (std::int64_t& size : sizes) size = 1 + static_cast<std::int64_t>(random() % 50);
    const std::int64_t limit = 20 + static_cast<std::int64_t>(random() % 100);
    const Groups groups = balanced_groups(sizes, limit);
    const std::int64_t longest = *std::ranges::max_element(sizes);
    ASSERT_EQ(largest_sum(sizes, groups), best_sum(sizes, 0, groups.size()));
    ASSERT_LE(largest_sum(sizes, groups), std::max(limit, longest));
    // One group fewer would not fit.
    ASSERT_TRUE(groups.size() == 1 || best_sum(sizes, 0, groups.size() - 1) > limit);
  }
}

TEST(BalancedGroups, LeaveALargerUnitAlone) {
  EXPECT_EQ(balanced_groups({100, 3, 3, 100}, 10), (Groups{1, 2, 1}));
  EXPECT_EQ(balanced_groups({5, 5, 5}, 0), (Groups{1, 1, 1}));
  EXPECT_EQ(balanced_groups({}, 10), Groups{});
}

std::int64_t sum_of(const Sizes& sizes, const std::vector<std::int64_t>& places) {
  std::int64_t sum = 0;
  for (const std::int64_t place : places) sum += sizes.at(static_cast<std::size_t>(place));
  return sum;
}

TEST(BalancedShares, HoldEveryUnitOnceAndDifferByAtMostTheLargest) {
  std::mt19937 random(2);
  for (int round = 0; round < 300; ++round) {
    const int ranks = 1 + static_cast<int>(random() % 8);
    Sizes sizes(static_cast<std::size_t>(ranks) + random() % 40);
    for (std::int64_t& size : sizes) size = 1 + static_cast<std::int64_t>(random() % 300);
    const auto shares = balanced_shares(sizes, ranks);
    ASSERT_EQ(shares.size(), static_cast<std::size_t>(ranks));
    std::vector<std::int64_t> all;
    std::int64_t least = std::numeric_limits<std::int64_t>::max(), most = 0;
    for (const auto& share : shares) {
      ASSERT_FALSE(share.empty());
      ASSERT_TRUE(std::ranges::is_sorted(share));
      all.insert(all.end(), share.begin(), share.end());
      least = std::min(least, sum_of(sizes, share));
      most = std::max(most, sum_of(sizes, share));
    }
    std::ranges::sort(all);
    std::vector<std::int64_t> every(sizes.size());
    std::iota(every.begin(), every.end(), 0);
    ASSERT_EQ(all, every);
    ASSERT_LE(most - least, *std::ranges::max_element(sizes));
  }
}

TEST(BalancedShares, OfOneRankAreAllInOrder) {
  EXPECT_EQ(balanced_shares({3, 9, 1, 9}, 1), (std::vector<std::vector<std::int64_t>>{{0, 1, 2, 3}}));
  EXPECT_EQ(balanced_shares({3, 9, 1, 9}, 2), (std::vector<std::vector<std::int64_t>>{{0, 1}, {2, 3}}));
}

}  // namespace
}  // namespace nkat::train
