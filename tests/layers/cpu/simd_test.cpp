#include "layers/cpu/simd.h"

#include <cmath>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

namespace nkat::layers::cpu {
namespace {

constexpr float kLowest = -87.3f, kHighest = 88.7f;  // of what is not 0 or infinity
constexpr float kInfinity = std::numeric_limits<float>::infinity();

// As the layers call it: in a loop for the widest vectors that the machine has.
NKAT_VECTORIZED void exponentials(const float* x, std::int64_t count, float* out) {
  for (std::int64_t i = 0; i < count; ++i) out[i] = exponential(x[i]);
}

std::vector<float> exponentials(const std::vector<float>& x) {
  std::vector<float> out(x.size());
  exponentials(x.data(), static_cast<std::int64_t>(x.size()), out.data());
  return out;
}

// |found - exact| in units of the last place of the float32 nearest to exact.
double units_off(float found, double exact) {
  const auto nearest = static_cast<float>(exact);
  return std::abs(found - exact) / (static_cast<double>(std::nextafter(nearest, kInfinity)) - nearest);
}

// Every `stride`th float32 there is, by its bits.
std::vector<float> all_floats(std::uint64_t stride) {
  std::vector<float> out;
  for (std::uint64_t bits = 0; bits < (std::uint64_t{1} << 32); bits += stride) {
    out.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(bits)));
  }
  return out;
}

// A prime stride meets every exponent and pattern of low bits.
TEST(Exponential, IsWithinTwoUnitsOverAllFloat32) {
  const std::vector<float> x = all_floats(1009), found = exponentials(x);
  double worst = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (std::isnan(x[i])) {
      ASSERT_TRUE(std::isnan(found[i]));
    } else if (x[i] < kLowest) {
      ASSERT_EQ(found[i], 0) << x[i];
    } else if (x[i] > kHighest) {
      ASSERT_EQ(found[i], kInfinity) << x[i];
    } else {
      worst = std::max(worst, units_off(found[i], std::exp(static_cast<double>(x[i]))));
    }
  }
  EXPECT_LE(worst, 2.0);
  EXPECT_GT(worst, 0.5);  // the best that rounding allows: less would mean that nothing was compared
}

// Where the reduction goes from one n to the next, r is largest.
TEST(Exponential, IsWithinTwoUnitsWhereItsReductionTurns) {
  std::vector<float> x;
  for (int n = -125; n <= 127; ++n) {
    const auto turn = static_cast<float>((n + 0.5) * std::log(2.0));
    for (int step = -40; step <= 40; ++step) x.push_back(turn * (1 + static_cast<float>(step) * 0x1p-23f));
  }
  const std::vector<float> found = exponentials(x);
  double worst = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    worst = std::max(worst, units_off(found[i], std::exp(static_cast<double>(x[i]))));
  }
  EXPECT_LE(worst, 2.0);
}

TEST(Exponential, EndsInZeroAndInfinityAtItsBorders) {
  const auto below = [](float x) { return std::nextafter(x, -kInfinity); };
  const auto above = [](float x) { return std::nextafter(x, kInfinity); };
  const float largest = std::numeric_limits<float>::max();
  const std::vector<float> found =
      exponentials({kLowest, below(kLowest), -largest, -kInfinity, kHighest, above(kHighest), largest, kInfinity});
  EXPECT_GE(found[0], std::numeric_limits<float>::min());  // nothing denormal
  EXPECT_TRUE(std::isfinite(found[4]));
  for (const int i : {1, 2, 3}) EXPECT_EQ(found[static_cast<std::size_t>(i)], 0);
  for (const int i : {5, 6, 7}) EXPECT_EQ(found[static_cast<std::size_t>(i)], kInfinity);
}

TEST(Exponential, IsExactAtZeroAndKeepsWhatIsNoNumber) {
  const float quiet = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> found = exponentials({0.0f, -0.0f, quiet, -quiet, std::numeric_limits<float>::denorm_min()});
  EXPECT_EQ(found[0], 1);
  EXPECT_EQ(found[1], 1);
  EXPECT_TRUE(std::isnan(found[2]) && std::isnan(found[3]));
  EXPECT_EQ(found[4], 1);
}

}  // namespace
}  // namespace nkat::layers::cpu
