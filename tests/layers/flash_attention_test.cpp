#include "layers/flash_attention.h"

#include <cmath>
#include <limits>

#include <ATen/ops/einsum.h>
#include <ATen/ops/ones_like.h>
#include <gtest/gtest.h>
#include <torch/library.h>

#include "layers/attention.h"
#include "tests/support/cuda.h"
#include "tests/support/gradients.h"
#include "tests/support/tolerance.h"

namespace nkat::layers {
namespace {

using namespace nkat::testing;
using MaybeTensor = std::optional<at::Tensor>;
using MaybeCount = std::optional<std::int64_t>;
using Window = MaybeCount;

// q (t, heads, d), k and v (t, kv heads, d) of one sample -> (t, heads, d): softmax over explicit scores, where query i
// sees keys i - left to i.
at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, MaybeCount left) {
  const std::int64_t length = q.size(0), group = q.size(1) / k.size(1);
  at::Tensor hidden = at::ones({length, length}, q.options().dtype(at::kBool)).triu(1);
  if (left) hidden = hidden.logical_or(at::ones_like(hidden).tril(-*left - 1));
  const at::Tensor keys = k.repeat_interleave(group, 1), values = v.repeat_interleave(group, 1);
  const at::Tensor scores = at::einsum("ihd,jhd->hij", {q, keys}) / std::sqrt(static_cast<double>(q.size(2)));
  const at::Tensor weights = at::softmax(scores.masked_fill(hidden, -std::numeric_limits<double>::infinity()), -1);
  return at::einsum("hij,jhd->ihd", {weights, values});
}

// What the device's kernels compute, by their contract, as operators of the CPU: so that what is passed to them, and
// what becomes of the gradients, is tested without a GPU.
at::Tensor packed_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& starts,
                            MaybeCount left) {
  std::vector<at::Tensor> out;
  for (std::int64_t i = 0; i + 1 < starts.size(0); ++i) {
    const std::int64_t begin = starts[i].item<std::int64_t>(), end = starts[i + 1].item<std::int64_t>();
    out.push_back(attend(q.slice(0, begin, end), k.slice(0, begin, end), v.slice(0, begin, end), left));
  }
  return at::cat(out);
}

using Forward = std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor, at::Tensor>;

Forward forward_by_definition(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                              const MaybeTensor& query_starts, const MaybeTensor& key_starts,
                              std::int64_t longest_query, std::int64_t longest_key, double dropout, bool causal,
                              bool /*mask*/, std::optional<double> scale, MaybeCount left, MaybeCount right,
                              const MaybeTensor& /*used*/, const MaybeTensor& /*slopes*/) {
  EXPECT_TRUE(causal && dropout == 0.0 && !scale && !right);
  EXPECT_TRUE(at::equal(*query_starts, *key_starts) && query_starts->scalar_type() == at::kInt);
  const at::Tensor lengths = query_starts->diff();
  EXPECT_EQ(lengths.max().item<std::int64_t>(), longest_query);
  EXPECT_EQ(longest_query, longest_key);
  EXPECT_TRUE(!left || (*left >= 0 && *left < longest_query));
  const at::Tensor empty = at::empty({0});
  return {packed_attention(q, k, v, *query_starts, left), at::zeros({q.size(1), q.size(0)}), empty, empty, empty};
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> backward_by_definition(
    const at::Tensor& dy, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& out,
    const at::Tensor& log_sum_exp, const at::Tensor& query_starts, const at::Tensor& /*key_starts*/,
    std::int64_t /*longest_query*/, std::int64_t /*longest_key*/, double /*dropout*/, bool /*causal*/,
    const at::Tensor& /*random*/, const at::Tensor& /*unused*/, std::optional<double> /*scale*/, MaybeCount left,
    MaybeCount /*right*/) {
  EXPECT_EQ(log_sum_exp.sizes(), (std::vector<std::int64_t>{q.size(1), q.size(0)}));
  // The dispatcher has switched autograd off for what an operator does inside.
  const c10::impl::ForceDispatchKeyGuard as_outside(c10::default_included_set, c10::default_excluded_set);
  const at::AutoGradMode with_gradients(true);
  const auto leaf = [](const at::Tensor& x) { return x.detach().clone().requires_grad_(true); };
  const at::Tensor query = leaf(q), key = leaf(k), value = leaf(v);
  const at::Tensor y = packed_attention(query, key, value, query_starts, left);
  EXPECT_TRUE(at::equal(y, out));
  const auto gradients = torch::autograd::grad({y}, {query, key, value}, {dy});
  return {gradients[0], gradients[1], gradients[2]};
}

TORCH_LIBRARY_IMPL(aten, CPU, library) {
  library.impl("_flash_attention_forward", TORCH_FN(forward_by_definition));
  library.impl("_flash_attention_backward", TORCH_FN(backward_by_definition));
}

constexpr HeadShape kHeads{.num_heads = 4, .num_key_value_heads = 2, .head_dim = 8};
constexpr std::int64_t kWidth = (4 + 2 * 2) * 8;
const std::vector<std::int64_t> kLengths = {5, 1, 33, 17};

PackedSequences one_by_one(Window window, const at::TensorOptions& options) {
  PackedSequences layout{.lengths = kLengths, .angles = {}, .masks = {}};
  for (const std::int64_t length : kLengths)
    layout.masks.push_back(sliding_window_mask(length, window, options.device()));
  return layout;
}

PackedSequences all_in_one(Window window, const at::TensorOptions& options) {
  PackedSequences layout{.lengths = kLengths, .angles = {}, .masks = {}};
  layout.flash = flash_sequences(kLengths, window, options.device());
  return layout;
}

TEST(FlashAttention, PassesItsSamplesOnAndTheirGradientsBack) {
  at::manual_seed(1);
  const at::Tensor qkv = at::randn({56, kWidth}, at::kDouble), direction = at::randn({56, 32}, at::kDouble);
  for (const Window window : {Window(), Window(1), Window(6), Window(100)}) {
    const PackedSequences packed = all_in_one(window, qkv.options()), single = one_by_one(window, qkv.options());
    const TensorFunction flash = [&](const at::Tensor& x) { return causal_attention(x, packed, kHeads); };
    const TensorFunction plain = [&](const at::Tensor& x) { return causal_attention(x, single, kHeads); };
    EXPECT_LT(relative_error(flash(qkv), plain(qkv)), 1e-13);
    EXPECT_LT(relative_error(gradient(flash, qkv, direction), gradient(plain, qkv, direction)), 1e-12);
  }
}

TEST(FlashAttention, IsForHalfPrecisionOnAGpuAndHeadsItHasKernelsFor) {
  const at::TensorOptions gpu = at::TensorOptions(at::kCUDA).dtype(at::kBFloat16);
  const auto has = [](const at::TensorOptions& options, std::int64_t head_dim) {
    return has_flash_attention(options, {.num_heads = 4, .num_key_value_heads = 2, .head_dim = head_dim}, kLengths);
  };
  EXPECT_TRUE(has(gpu, 96));
  EXPECT_TRUE(has(gpu.dtype(at::kHalf), 192));
  EXPECT_FALSE(has(gpu.dtype(at::kFloat), 96));
  EXPECT_FALSE(has(gpu.device(at::kCPU), 96));
  EXPECT_FALSE(has(gpu, 100));
  EXPECT_FALSE(has(gpu, 200));
  EXPECT_FALSE(has_flash_attention(gpu, kHeads, {1, 1}));
}

TEST(FlashAttentionGpu, IsAsGoodAsOneSampleAtATime) {
  NKAT_SKIP_WITHOUT_CUDA();
  at::manual_seed(2);
  const at::Tensor exact_qkv = at::randn({56, kWidth}).to(at::kBFloat16).to(at::kDouble);
  const at::Tensor exact_direction = at::randn({56, 32}).to(at::kBFloat16).to(at::kDouble);
  const at::Tensor qkv = exact_qkv.to(at::kCUDA, at::kBFloat16), direction = exact_direction.to(qkv.options());
  for (const Window window : {Window(), Window(1), Window(6), Window(100)}) {
    PackedSequences packed{.lengths = kLengths, .angles = {}, .masks = {}};
    prepare_attention(packed, window, kHeads, qkv.options());
    ASSERT_TRUE(packed.flash.cu_seqlens.defined());
    const PackedSequences single = one_by_one(window, qkv.options()), host = one_by_one(window, exact_qkv.options());
    const TensorFunction flash = [&](const at::Tensor& x) { return causal_attention(x, packed, kHeads); };
    const TensorFunction plain = [&](const at::Tensor& x) { return causal_attention(x, single, kHeads); };
    const TensorFunction exact = [&](const at::Tensor& x) { return causal_attention(x, host, kHeads); };
    EXPECT_TRUE(is_as_good_as(flash(qkv), plain(qkv), exact(exact_qkv), kValueFactor));
    EXPECT_TRUE(is_as_good_as(gradient(flash, qkv, direction), gradient(plain, qkv, direction),
                              gradient(exact, exact_qkv, exact_direction), kGradientFactor));
    EXPECT_TRUE(at::equal(flash(qkv), flash(qkv)));
  }
}

}  // namespace
}  // namespace nkat::layers
