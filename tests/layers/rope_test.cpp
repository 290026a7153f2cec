#include "layers/rope.h"

#include <cmath>

#include <ATen/ops/split.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/cuda.h"
#include "tests/support/gradients.h"
#include "tests/support/held_bytes.h"
#include "tests/support/message_of.h"
#include "tests/support/on_gpu.h"
#include "tests/support/thread_counts.h"

namespace nkat::layers {
namespace {

using namespace nkat::testing;

constexpr HeadShape kHeads{.num_heads = 4, .num_key_value_heads = 2, .head_dim = 6};
constexpr std::int64_t kWidth = (4 + 2 * 2) * 6;
constexpr double kAngleError = 1e-6;  // float32 keeps an angle of a few radians to 2e-7, and cos and sin no worse

RopeTable table(at::ScalarType type, std::int64_t rotary_dim = 4) {
  return {{.rotary_dim = rotary_dim,
           .theta = 100,
           .attention_factor = 1.25,
           .original_length = 8,
           .short_factor = std::vector<double>(static_cast<std::size_t>(rotary_dim / 2), 1.5),
           .long_factor = std::vector<double>(static_cast<std::size_t>(rotary_dim / 2), 4)},
          type,
          at::kCPU};
}

// transformers' apply_rotary_pos_emb on one head.
at::Tensor plain_head(const at::Tensor& x, const RopeAngles& angles) {
  const at::Tensor cos = at::cat({angles.cos, angles.cos}, -1), sin = at::cat({angles.sin, angles.sin}, -1);
  const std::int64_t d = cos.size(-1);
  const at::Tensor turned = x.narrow(1, 0, d);
  const auto halves = turned.chunk(2, -1);
  const at::Tensor half_turned = at::cat({-halves[1], halves[0]}, -1);
  return at::cat({turned * cos + half_turned * sin, x.narrow(1, d, x.size(1) - d)}, -1);
}

at::Tensor plain_rope(const at::Tensor& qkv, const RopeAngles& angles) {
  std::vector<at::Tensor> heads = at::split(qkv, kHeads.head_dim, 1);
  for (std::size_t i = 0; i < 6; ++i) heads[i] = plain_head(heads[i], angles);
  return at::cat(heads, 1);
}

TEST(Rope, AnglesFollowTheFormula) {
  const RopeAngles angles = table(at::kDouble).angles(0, 8);
  EXPECT_EQ(angles.cos.sizes(), (std::vector<std::int64_t>{8, 2}));
  EXPECT_NEAR(angles.cos[3][0].item<double>(), 1.25 * std::cos(3 / 1.5), kAngleError);
  EXPECT_NEAR(angles.sin[7][1].item<double>(), 1.25 * std::sin(7 / (1.5 * std::pow(100, 0.5))), kAngleError);
}

TEST(Rope, LongFactorsBeginOneTokenAboveTheOriginalLength) {
  const RopeTable rope = table(at::kDouble);
  EXPECT_FALSE(rope.is_long(8));
  EXPECT_TRUE(rope.is_long(9));
  EXPECT_NEAR(rope.angles(0, 9).cos[3][0].item<double>(), 1.25 * std::cos(3 / 4.0), kAngleError);
}

TEST(Rope, ShortFactorsAloneHoldAtEveryLength) {
  const RopeTable rope({.rotary_dim = 4, .theta = 100, .original_length = 8, .short_factor = {1.5, 4}}, at::kDouble,
                       at::kCPU);
  EXPECT_FALSE(rope.is_long(100));
  EXPECT_NEAR(rope.angles(0, 100).cos[3][1].item<double>(), std::cos(3 / (4.0 * 10)), kAngleError);
}

TEST(Rope, ALinearScalingStretchesEveryWavelength) {
  const RopeTable rope({.rotary_dim = 4, .theta = 100, .scaling = {.kind = RopeScaling::Kind::kLinear, .factor = 4}},
                       at::kDouble, at::kCPU);
  EXPECT_NEAR(rope.angles(0, 8).cos[3][0].item<double>(), std::cos(3 / 4.0), kAngleError);
  EXPECT_NEAR(rope.angles(0, 8).cos[3][1].item<double>(), std::cos(3 / 40.0), kAngleError);
}

// Wavelengths 6.3, 63, 628 and 6283: one below 32 / 4, two above 32 / 0.25, one between them.
TEST(Rope, ALlama3ScalingStretchesLongWavelengthsAndInterpolatesBetween) {
  const RopeTable rope({.rotary_dim = 8,
                        .theta = 10000,
                        .scaling = {.kind = RopeScaling::Kind::kLlama3,
                                    .factor = 8,
                                    .low_frequency = 0.25,
                                    .high_frequency = 4,
                                    .original_length = 32}},
                       at::kDouble, at::kCPU);
  const at::Tensor sin = rope.angles(0, 2).sin[1];
  const auto mixed = [](double frequency) {
    const double smooth = (32 * frequency / (2 * M_PI) - 0.25) / (4 - 0.25);
    return (1 - smooth) * frequency / 8 + smooth * frequency;
  };
  EXPECT_NEAR(sin[0].item<double>(), std::sin(1.0), kAngleError);
  EXPECT_NEAR(sin[1].item<double>(), std::sin(mixed(0.1)), kAngleError);
  EXPECT_NEAR(sin[2].item<double>(), std::sin(0.01 / 8), kAngleError);
  EXPECT_NEAR(sin[3].item<double>(), std::sin(0.001 / 8), kAngleError);
}

TEST(Rope, AnglesOfTheLastPositionsAreThoseOfTheWholeSequence) {
  const RopeTable rope = table(at::kBFloat16);
  EXPECT_TRUE(at::equal(rope.angles(5, 7).cos, rope.angles(0, 7).cos.narrow(0, 5, 2)));
  EXPECT_TRUE(at::equal(rope.angles(11, 12).sin, rope.angles(0, 12).sin.narrow(0, 11, 1)));
}

// Two products and a sum, each rounded, either side: |x cos| + |y sin| is at most twice the larger turned coordinate.
double turning_error(at::ScalarType type) { return roundings(6, type); }

TEST(Rope, TurnsQueriesAndKeysLikeTransformersAndLeavesTheRest) {
  at::manual_seed(1);
  for (const std::int64_t rotary_dim : {2, 4, 6}) {
    const RopeAngles angles = table(at::kDouble, rotary_dim).angles(0, 5);
    const at::Tensor qkv = at::randn({5, kWidth}, at::kDouble);
    EXPECT_LT(relative_error(apply_rope_(qkv.clone(), angles, kHeads), plain_rope(qkv, angles)),
              turning_error(at::kDouble));
  }
}

TEST(Rope, GradientEqualsCentralDifferences) {
  at::manual_seed(2);
  const RopeAngles angles = table(at::kDouble).angles(0, 3);
  const at::Tensor x = at::randn({3, kWidth}, at::kDouble), direction = at::randn({3, kWidth}, at::kDouble);
  const TensorFunction f = [&](const at::Tensor& input) { return apply_rope_(input * 1, angles, kHeads); };
  EXPECT_LT(relative_error(gradient(f, x, direction), numerical_gradient(f, x, direction)), central_difference_error());
}

// At most twice the error that transformers' products and sums make in the same type.
TEST(Rope, IsAsAccurateAsPlainATen) {
  at::manual_seed(3);
  const RopeAngles angles = table(at::kBFloat16).angles(0, 7);
  const RopeAngles exact_angles{.cos = angles.cos.to(at::kDouble), .sin = angles.sin.to(at::kDouble)};
  const at::Tensor x = at::randn({7, kWidth}).to(at::kBFloat16);
  const at::Tensor exact = plain_rope(x.to(at::kDouble), exact_angles);
  EXPECT_LE(relative_error(apply_rope_(x.clone(), angles, kHeads), exact),
            2 * relative_error(plain_rope(x, angles), exact));
}

TEST(Rope, IsAsGoodAsPlainATenForAnyNumberOfRows) {
  at::manual_seed(6);
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    for (const std::int64_t rows : {0, 1, 31, 32, 33}) {
      const RopeAngles angles = table(type).angles(0, rows);
      const RopeAngles exact_angles{.cos = angles.cos.to(at::kDouble), .sin = angles.sin.to(at::kDouble)};
      const TensorFunction ours = [&](const at::Tensor& x) { return apply_rope_(x * 1, angles, kHeads); };
      const TensorFunction theirs = [&](const at::Tensor& x) { return plain_rope(x, angles); };
      const TensorFunction exact = [&](const at::Tensor& x) { return plain_rope(x, exact_angles); };
      const at::Tensor x = at::randn({rows, kWidth}).to(type), direction = at::randn({rows, kWidth}).to(type);
      const at::Tensor wide = x.to(at::kDouble), wide_direction = direction.to(at::kDouble);
      EXPECT_TRUE(is_as_good_as(ours(x), theirs(x), exact(wide), kValueFactor)) << type << ", " << rows << " rows";
      EXPECT_TRUE(is_as_good_as(gradient(ours, x, direction), gradient(theirs, x, direction),
                                gradient(exact, wide, wide_direction), kGradientFactor))
          << type << ", " << rows << " rows";
    }
  }
}

TEST(Rope, TakesAnglesAndGradientsThatAreNotContiguousButNoSuchRows) {
  const RopeAngles angles = table(at::kFloat).angles(0, 33);
  const auto strided = [](const at::Tensor& x) { return x.t().contiguous().t(); };
  const RopeAngles views{.cos = strided(angles.cos), .sin = strided(angles.sin)};
  ASSERT_FALSE(views.cos.is_contiguous() || views.sin.is_contiguous());
  const at::Tensor x = at::randn({33, kWidth}), direction = at::randn({33, kWidth});
  const TensorFunction f = [&](const at::Tensor& input) { return apply_rope_(input * 1, angles, kHeads); };
  const TensorFunction g = [&](const at::Tensor& input) { return apply_rope_(input * 1, views, kHeads); };
  EXPECT_TRUE(at::equal(g(x), f(x)));
  EXPECT_TRUE(at::equal(gradient(g, x, strided(direction)), gradient(f, x, direction)));
  EXPECT_THROW(apply_rope_(strided(x), angles, kHeads), InternalError);
}

// 16 Ki values are the least that a thread takes: 1999 rows of 48 make five shares of whole rows and a rest.
TEST(Rope, DoesNotDependOnTheThreadCount) {
  at::manual_seed(5);
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kDouble}) {
    const RopeAngles angles = table(type).angles(0, 1999);
    const at::Tensor x = at::randn({1999, kWidth}).to(type), direction = at::randn({1999, kWidth}).to(type);
    const TensorFunction turn = [&](const at::Tensor& input) { return apply_rope_(input * 1, angles, kHeads); };
    expect_same_bits_for_any_thread_count([&] { return std::vector{turn(x), gradient(turn, x, direction)}; });
  }
}

TEST(RopeGpu, IsAsGoodAsPlainATen) {
  NKAT_SKIP_WITHOUT_CUDA();
  at::manual_seed(4);
  for (const std::int64_t rows : {0, 1, 31, 32, 33}) {
    const RopeAngles rounded = table(at::kBFloat16).angles(0, rows);  // the same numbers in every type
    const auto angles = [&](const at::Tensor& x) {
      return RopeAngles{.cos = rounded.cos.to(x.options()), .sin = rounded.sin.to(x.options())};
    };
    expect_good_on_gpu([&](const at::Tensor& x) { return apply_rope_(x.contiguous() * 1, angles(x), kHeads); },
                       [&](const at::Tensor& x) { return plain_rope(x, angles(x)); },
                       at::randn({rows, kWidth}, at::kDouble), at::randn({rows, kWidth}, at::kDouble));
  }
}

TEST(RopeGpu, AgreesWithTheCpuAtTheWidthOfPhi3) {
  NKAT_SKIP_WITHOUT_CUDA();
  constexpr HeadShape kPhi3{.num_heads = 32, .num_key_value_heads = 32, .head_dim = 96};
  const RopeAngles angles = table(at::kFloat, 96).angles(0, 33);
  const RopeAngles there{.cos = angles.cos.to(at::kCUDA), .sin = angles.sin.to(at::kCUDA)};
  const at::Tensor qkv = at::randn({33, 3 * 3072});
  const at::Tensor turned = apply_rope_(qkv.to(at::kCUDA), there, kPhi3).cpu();
  EXPECT_LE(relative_error(turned, apply_rope_(qkv.clone(), angles, kPhi3)), turning_error(at::kFloat));
  EXPECT_TRUE(at::equal(turned.narrow(1, 6144, 3072), qkv.narrow(1, 6144, 3072)));
}

TEST(Rope, KeepsNothingButTheAngles) {
  const RopeAngles angles = table(at::kFloat).angles(0, 7);
  const std::int64_t before = HeldBytes::now();
  const at::Tensor leaf = at::randn({7, kWidth}).requires_grad_(true);
  const at::Tensor turned = apply_rope_(leaf * 2, angles, kHeads);
  EXPECT_EQ(HeldBytes::now() - before, static_cast<std::int64_t>(leaf.nbytes() + turned.nbytes()));
}

TEST(Rope, NamesWhatItRefuses) {
  const RopeAngles angles = table(at::kFloat).angles(0, 5);
  const auto complaint = [&](const at::Tensor& qkv) { return message_of([&] { apply_rope_(qkv, angles, kHeads); }); };
  const std::string wanted = "rotary embedding: expected qkv (T=5, (heads + 2 kv heads) head_dim=48), found ";
  EXPECT_EQ(complaint(at::zeros({4, kWidth})), wanted + "(4, 48)");
  EXPECT_EQ(complaint(at::zeros({5, kWidth + 1})), wanted + "(5, 49)");
  EXPECT_EQ(complaint(at::zeros({5, kWidth}, at::kDouble)),
            "rotary embedding: expected cos of type Double, found Float");
  EXPECT_EQ(complaint(at::zeros({5, kWidth}, at::kMeta)), "rotary embedding: expected cos on meta, found cpu");
}

}  // namespace
}  // namespace nkat::layers
