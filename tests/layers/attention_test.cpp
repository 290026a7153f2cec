#include "layers/attention.h"

#include <cmath>
#include <limits>

#include <ATen/ops/split.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/gradients.h"
#include "tests/support/held_bytes.h"
#include "tests/support/message_of.h"

namespace nkat::layers {
namespace {

using namespace nkat::testing;
using Window = std::optional<std::int64_t>;

constexpr HeadShape kHeads{.num_heads = 4, .num_key_value_heads = 2, .head_dim = 8};
constexpr std::int64_t kWidth = (4 + 2 * 2) * 8;

PackedSequences layout(const std::vector<std::int64_t>& lengths, Window window = std::nullopt) {
  PackedSequences result{.lengths = lengths, .angles = {}, .masks = {}};
  for (const std::int64_t length : lengths) result.masks.push_back(sliding_window_mask(length, window, at::kCPU));
  return result;
}

// Softmax over explicit scores, one head at a time: the definition.
at::Tensor plain(const at::Tensor& qkv, Window window) {
  const std::int64_t length = qkv.size(0), d = kHeads.head_dim;
  const std::vector<at::Tensor> parts = at::split(qkv, d, 1);
  at::Tensor hidden = at::ones({length, length}, at::kBool).triu(1);
  if (window) hidden = hidden.logical_or(at::ones({length, length}, at::kBool).tril(-*window));
  std::vector<at::Tensor> heads;
  for (std::int64_t head = 0; head < kHeads.num_heads; ++head) {
    const std::int64_t group = head / (kHeads.num_heads / kHeads.num_key_value_heads);
    const at::Tensor& key = parts[static_cast<std::size_t>(kHeads.num_heads + group)];
    const at::Tensor& value = parts[static_cast<std::size_t>(kHeads.num_heads + kHeads.num_key_value_heads + group)];
    const at::Tensor scores = at::matmul(parts[static_cast<std::size_t>(head)], key.t()) / std::sqrt(d);
    const at::Tensor masked = scores.masked_fill(hidden, -std::numeric_limits<double>::infinity());
    heads.push_back(at::matmul(at::softmax(masked, -1), value));
  }
  return at::cat(heads, 1);
}

// A probability is a quotient of exponentials of scores, whose sums of 8 terms of up to 7 together are off by 68
// roundings: 136. With the sum of up to 40 exponentials and that of as many values, and a few: 220, relative to values
// of at most twice the largest output; two sides. The gradient chains three such products (dP = dO V^T, dS, dS K) whose
// terms are up to three times its largest entry.
constexpr double kOutputRoundings = 2 * 2 * 220, kGradientRoundings = (3 * 3 + 1) * kOutputRoundings;

class Attention : public ::testing::TestWithParam<Window> {};

TEST_P(Attention, EqualsItsDefinitionForwardAndBackward) {
  at::manual_seed(1);
  for (const std::int64_t length : {1, 2, 31, 33}) {
    const at::Tensor qkv = at::randn({length, kWidth}, at::kDouble);
    const at::Tensor direction = at::randn({length, 32}, at::kDouble);
    const PackedSequences one = layout({length}, GetParam());
    const TensorFunction ours = [&](const at::Tensor& x) { return causal_attention(x, one, kHeads); };
    const TensorFunction definition = [&](const at::Tensor& x) { return plain(x, GetParam()); };
    EXPECT_LT(relative_error(ours(qkv), definition(qkv)), roundings(kOutputRoundings)) << length;
    EXPECT_LT(relative_error(gradient(ours, qkv, direction), gradient(definition, qkv, direction)),
              roundings(kGradientRoundings))
        << length;
  }
}

TEST_P(Attention, PackingSamplesChangesNoBit) {
  at::manual_seed(2);
  const std::vector<std::int64_t> lengths = {5, 1, 40, 17};
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const at::Tensor qkv = at::randn({63, kWidth}).to(type);
    const at::Tensor packed = causal_attention(qkv, layout(lengths, GetParam()), kHeads);
    std::int64_t begin = 0;
    for (const std::int64_t length : lengths) {
      const at::Tensor alone = causal_attention(qkv.narrow(0, begin, length), layout({length}, GetParam()), kHeads);
      EXPECT_TRUE(at::equal(packed.narrow(0, begin, length), alone)) << length;
      begin += length;
    }
  }
}

TEST_P(Attention, CachedRowsEqualTheWholeSequence) {
  at::manual_seed(3);
  const at::Tensor qkv = at::randn({40, kWidth}, at::kDouble);
  const at::Tensor whole = plain(qkv, GetParam());
  const at::Tensor keys = qkv.narrow(1, 32, 16).view({40, 2, 8}), values = qkv.narrow(1, 48, 16).view({40, 2, 8});
  for (const std::int64_t rows : {1, 7, 40}) {
    const at::Tensor last = cached_attention(qkv.narrow(0, 40 - rows, rows), keys, values, kHeads, GetParam());
    EXPECT_LT(relative_error(last, whole.narrow(0, 40 - rows, rows)), roundings(kOutputRoundings)) << rows;
  }
}

INSTANTIATE_TEST_SUITE_P(Windows, Attention, ::testing::Values(Window(), Window(1), Window(6), Window(100)),
                         [](const auto& test) {
                           return test.param ? "Window" + std::to_string(*test.param) : std::string("NoWindow");
                         });

TEST(Attention, KeepsQkvItsOutputAndOneNumberARowAndHead) {
  constexpr std::int64_t kTokens = 64;
  const PackedSequences one = layout({kTokens});
  const std::int64_t before = HeldBytes::now();
  const at::Tensor leaf = at::randn({kTokens, kWidth}).to(at::kBFloat16).requires_grad_(true);
  const at::Tensor result = causal_attention(leaf * 2, one, kHeads) * 1;  // * 1: what a following linear gets
  const auto tensors = static_cast<std::int64_t>(leaf.nbytes() + result.nbytes());
  const std::int64_t kept = kTokens * (kWidth + 32) * 2 + kTokens * kHeads.num_heads * 4;
  EXPECT_LE(HeldBytes::now() - before - tensors, kept);
}

TEST(Attention, RefusesLengthsThatAreNotThoseOfTheRows) {
  for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
    const at::Tensor qkv = at::ones({3, kWidth}, type);
    EXPECT_THROW(causal_attention(qkv, layout({2, 2}), kHeads), InternalError);
    EXPECT_THROW(causal_attention(qkv, layout({2}), kHeads), InternalError);
  }
}

TEST(Attention, NamesAWrongShape) {
  EXPECT_THROW(causal_attention(at::ones({3, kWidth + 8}), layout({3}), kHeads), ShapeError);
}

TEST(Attention, NamesACacheThatDoesNotFit) {
  const auto complaint = [](const at::Tensor& qkv, const at::Tensor& keys, const at::Tensor& values) {
    return message_of([&] { cached_attention(qkv, keys, values, kHeads, std::nullopt); });
  };
  const at::Tensor qkv = at::ones({2, kWidth}), cached = at::ones({5, 2, 8});
  EXPECT_EQ(complaint(qkv, cached, cached), "");
  EXPECT_EQ(complaint(at::ones({2, kWidth + 8}), cached, cached),
            "cached attention: expected qkv (n, (heads + 2 kv heads) head_dim=64), found (2, 72)");
  EXPECT_EQ(complaint(qkv, at::ones({5, 2, 4}), cached),
            "cached attention: expected keys (S, kv heads=2, head_dim=8), found (5, 2, 4)");
  EXPECT_EQ(complaint(qkv, cached, at::ones({4, 2, 8})),
            "cached attention: expected values (S=5, kv heads=2, head_dim=8), found (4, 2, 8)");
  EXPECT_EQ(complaint(qkv, cached.to(at::kBFloat16), cached),
            "cached attention: expected keys of type Float, found BFloat16");
  EXPECT_EQ(complaint(qkv, cached, cached.to(at::kDouble)),
            "cached attention: expected values of type Float, found Double");
  EXPECT_EQ(complaint(qkv, cached.to(at::kMeta), cached), "cached attention: expected keys on cpu, found meta");
  EXPECT_EQ(complaint(qkv, cached, cached.to(at::kMeta)), "cached attention: expected values on cpu, found meta");
}

}  // namespace
}  // namespace nkat::layers
