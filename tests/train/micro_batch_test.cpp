#include "train/micro_batch.h"

#include <ATen/ops/scalar_tensor.h>
#include <gtest/gtest.h>

#include "tests/support/gradients.h"
#include "tests/support/tiny_model.h"
#include "train/adapter_gradients.h"

namespace nkat::train {
namespace {

using testing::relative_error;
using testing::tiny_config;
using testing::tiny_decoder;

models::Adapter open_adapter(at::ScalarType type) {
  models::Adapter adapter = models::init_adapter(tiny_config(), {.alpha = -0.5, .weight_std = 0.3, .seed = 3});
  adapter.weight = adapter.weight.to(type);
  adapter.alpha = adapter.alpha.to(type);
  return adapter;
}

// Samples of these lengths laid end to end, every other token a target.
models::PackedBatch samples(const std::vector<std::int64_t>& lengths, std::int64_t first_token) {
  models::PackedBatch packed;
  std::vector<std::int64_t> tokens, rows, targets;
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    for (std::int64_t t = 0; t < lengths[i]; ++t) {
      tokens.push_back((first_token + 7 * static_cast<std::int64_t>(tokens.size())) % 50);
      if (t > 0 && t % 2 == 0) {
        rows.push_back(static_cast<std::int64_t>(tokens.size()) - 2);
        targets.push_back(tokens.back());
      }
    }
    packed.samples.push_back(static_cast<std::int64_t>(i));
  }
  packed.lengths = lengths;
  packed.tokens = at::tensor(tokens);
  packed.target_rows = at::tensor(rows);
  packed.targets = at::tensor(targets);
  return packed;
}

// Σ over micro-batches of dL/dM, all layers in one tensor.
at::Tensor gradient_of(const models::Decoder& decoder, const models::Adapter& adapter,
                       const std::vector<models::PackedBatch>& micro_batches, const MemorySettings& settings) {
  AdapterGradients step(adapter, at::kCPU);
  for (const auto& packed : micro_batches) run_micro_batch(decoder, step.matrices(), packed, 0.125, settings);
  return at::stack(step.collect_gradients());
}

TEST(MicroBatch, GradientOfTheBlocksMatchesFiniteDifferences) {
  const models::Decoder decoder = tiny_decoder(tiny_config(), at::kDouble);
  const models::Adapter adapter = open_adapter(at::kDouble);
  const auto packed = samples({7, 20}, 1);
  AdapterGradients step(adapter, at::kCPU);
  const at::Tensor block = step.matrices()[0].detach().clone();
  run_micro_batch(decoder, step.matrices(), packed, 0.125, {});
  const at::Tensor analytic = step.collect_gradients()[0];
  const auto loss_at = [&](const at::Tensor& moved) {
    std::vector<at::Tensor> blocks = step.matrices();
    blocks[0] = moved.detach().clone().requires_grad_(true);
    return at::scalar_tensor(0.125 * run_micro_batch(decoder, blocks, packed, 0.125, {}), at::kDouble);
  };
  at::Tensor numerical = at::zeros_like(block);
  for (const std::int64_t i : {0, 9, 63, 64, 130, 255}) {
    at::Tensor up = block.clone(), down = block.clone();
    up.view(-1)[i] += 1e-5;
    down.view(-1)[i] -= 1e-5;
    const double expected = (loss_at(up) - loss_at(down)).item<double>() / 2e-5;
    EXPECT_NEAR(analytic.reshape({-1})[i].item<double>(), expected, 1e-6 * std::max(1e-3, std::abs(expected)));
  }
}

TEST(MicroBatch, RecomputingGivesTheSameGradientBitForBit) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const models::Decoder decoder = tiny_decoder(tiny_config(), type);
    const models::Adapter adapter = open_adapter(at::kFloat);
    const std::vector<models::PackedBatch> batch = {samples({9, 20, 3}, 5)};
    const at::Tensor kept = gradient_of(decoder, adapter, batch, {.recomputed_layers = 0});
    ASSERT_GT(kept.abs().max().item<double>(), 0.0);
    for (const std::int64_t layers : {1, 2})
      EXPECT_TRUE(gradient_of(decoder, adapter, batch, {.recomputed_layers = layers}).equal(kept));
  }
}

TEST(MicroBatch, LogitsInPiecesGiveTheSameGradient) {
  const models::Decoder decoder = tiny_decoder(tiny_config(), at::kDouble);
  const models::Adapter adapter = open_adapter(at::kDouble);
  const std::vector<models::PackedBatch> batch = {samples({9, 20, 3}, 5)};
  EXPECT_LE(
      relative_error(gradient_of(decoder, adapter, batch, {.head_rows = 3}), gradient_of(decoder, adapter, batch, {})),
      1e-12);
}

// Rows of padding change no sum but the order in which a matrix product takes it: a few roundings of 2^-24.
TEST(MicroBatch, RowsOfPaddingChangeNeitherLossNorGradient) {
  const models::Decoder decoder = tiny_decoder(tiny_config(), at::kFloat);
  const models::Adapter adapter = open_adapter(at::kFloat);
  const models::PackedBatch packed = samples({9, 20, 3}, 5);
  for (const std::int64_t multiple : {16, 33, 64}) {
    const models::PackedBatch padded = models::pad_rows(packed, multiple);
    ASSERT_EQ(padded.token_count() % multiple, 0);
    EXPECT_EQ(padded.target_count(), packed.target_count());
    EXPECT_LE(relative_error(gradient_of(decoder, adapter, {padded}, {}), gradient_of(decoder, adapter, {packed}, {})),
              1e-6);
    AdapterGradients step(adapter, at::kCPU);
    const double loss = run_micro_batch(decoder, step.matrices(), packed, 1.0, {});
    EXPECT_NEAR(run_micro_batch(decoder, step.matrices(), padded, 1.0, {}), loss, 1e-6 * loss);
  }
}

TEST(MicroBatch, RowsThatFillTheirTilesGetNoPadding) {
  const models::PackedBatch packed = samples({9, 20, 3}, 5);
  EXPECT_EQ(models::pad_rows(packed, 32).lengths, packed.lengths);
  EXPECT_EQ(models::pad_rows(packed, 33).lengths, (std::vector<std::int64_t>{9, 20, 3, 1}));
}

TEST(GlobalBatch, SplitDifferentlyOverMicroBatchesHasTheSameGradient) {
  const models::Decoder decoder = tiny_decoder(tiny_config(), at::kFloat);
  const models::Adapter adapter = open_adapter(at::kFloat);
  std::vector<std::int64_t> lengths;
  for (std::int64_t i = 0; i < 32; ++i) lengths.push_back(3 + (i * i * 7) % 55);  // from 3 to 57 tokens
  const models::PackedBatch whole = samples(lengths, 2);
  const auto [first, second] = models::split_in_half(whole);
  std::vector<models::PackedBatch> single, eights;
  const std::function<void(const models::PackedBatch&, std::size_t, std::vector<models::PackedBatch>&)> cut =
      [&](const models::PackedBatch& packed, std::size_t size, std::vector<models::PackedBatch>& out) {
        if (packed.lengths.size() <= size) return out.push_back(packed);
        const auto halves = models::split_in_half(packed);
        cut(halves.first, size, out);
        cut(halves.second, size, out);
      };
  cut(whole, 1, single);
  cut(whole, 8, eights);
  ASSERT_EQ(single.size(), 32u);
  const auto weight_and_alpha = [&](const std::vector<models::PackedBatch>& batches) {
    AdapterGradients step(adapter, at::kCPU);
    AdapterMatrixGradients sum;
    for (const auto& packed : batches) {
      run_micro_batch(decoder, step.matrices(), packed, 1.0 / static_cast<double>(whole.target_count()), {});
      AdapterMatrixGradients part = step.collect_gradients();
      for (std::size_t i = 0; i < part.size(); ++i)
        i < sum.size() ? static_cast<void>(sum[i].add_(part[i])) : sum.push_back(part[i]);
    }
    return step.backward(sum, 0.0, Control::kNone).gradient;
  };
  const AdapterGradient reference = weight_and_alpha({whole});
  for (const auto& batches : {single, eights}) {
    const AdapterGradient other = weight_and_alpha(batches);
    EXPECT_LE((other.weight - reference.weight).norm().item<double>(), 1e-5 * reference.weight.norm().item<double>());
    EXPECT_LE((other.alpha - reference.alpha).norm().item<double>(), 1e-5 * reference.alpha.norm().item<double>());
  }
}

TEST(MicroBatch, LayersBelowTheFirstAdapterGetNoGradient) {
  const models::Decoder decoder = tiny_decoder(tiny_config(), at::kFloat);
  const models::Adapter adapter =
      models::init_adapter(tiny_config(), {.first_layer = 1, .alpha = 0, .weight_std = 0.1});
  AdapterGradients step(adapter, at::kCPU);
  EXPECT_FALSE(step.matrices()[0].defined());
  run_micro_batch(decoder, step.matrices(), samples({12}, 1), 1.0, {});
  EXPECT_EQ(step.collect_gradients().size(), 1u);
}

}  // namespace
}  // namespace nkat::train
