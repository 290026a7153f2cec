#include "core/random.h"

#include <cmath>
#include <set>

#include <gtest/gtest.h>

namespace nkat {
namespace {

TEST(RandomStream, IsAFunctionOfSeedPurposeAndIndex) {
  const auto first = [](std::uint64_t seed, std::string_view purpose, std::uint64_t index) {
    return RandomStream(seed, purpose, index).bits();
  };
  EXPECT_EQ(first(1, "shuffle", 2), first(1, "shuffle", 2));
  EXPECT_EQ((std::set<std::uint64_t>{first(1, "shuffle", 2), first(2, "shuffle", 2), first(1, "init", 2),
                                     first(1, "shuffle", 3)}
                 .size()),
            4u);
}

TEST(RandomStream, DrawsEvenlyBelowABound) {
  RandomStream random(1, "below");
  std::vector<int> counts(7);
  for (int i = 0; i < 70'000; ++i) ++counts[random.below(7)];
  // 10,000 expected each; standard deviation 93, so six of them.
  for (const int count : counts) EXPECT_NEAR(count, 10'000, 560);
  EXPECT_EQ(random.below(1), 0u);
}

TEST(RandomStream, DrawsUniformAndNormalNumbers) {
  RandomStream random(2, "moments");
  double sum = 0;
  double normal_sum = 0;
  double normal_squares = 0;
  constexpr int kDraws = 100'000;
  for (int i = 0; i < kDraws; ++i) {
    const double uniform = random.uniform();
    ASSERT_GE(uniform, 0);
    ASSERT_LT(uniform, 1);
    sum += uniform;
    const double normal = random.normal();
    ASSERT_TRUE(std::isfinite(normal));
    normal_sum += normal;
    normal_squares += normal * normal;
  }
  // Six standard errors: 0.289, 1 and 1.414 over sqrt(draws).
  EXPECT_NEAR(sum / kDraws, 0.5, 0.0055);
  EXPECT_NEAR(normal_sum / kDraws, 0, 0.019);
  EXPECT_NEAR(normal_squares / kDraws, 1, 0.027);
}

TEST(RandomStream, ShufflesEvenly) {
  std::vector<int> first(4);
  for (std::uint64_t i = 0; i < 40'000; ++i) {
    std::vector<int> items = {0, 1, 2, 3};
    RandomStream(3, "shuffle", i).shuffle(items);
    ++first[static_cast<std::size_t>(items[0])];
  }
  for (const int count : first) EXPECT_NEAR(count, 10'000, 520);  // six standard deviations
}

}  // namespace
}  // namespace nkat
