#include "models/decoder.h"

#include <ATen/ops/allclose.h>
#include <gtest/gtest.h>

#include "models/generation/batch_decoder.h"
#include "models/planning/memory_plan.h"
#include "tests/support/gradients.h"
#include "tests/support/held_bytes.h"
#include "tests/support/tiny_model.h"

namespace nkat::models {
namespace {

using namespace nkat::testing;

PackedBatch packed(const std::vector<std::vector<std::int32_t>>& samples) {
  PackedBatch batch;
  std::vector<std::int64_t> tokens;
  for (const auto& sample : samples) {
    tokens.insert(tokens.end(), sample.begin(), sample.end());
    batch.lengths.push_back(static_cast<std::int64_t>(sample.size()));
  }
  batch.tokens = at::tensor(tokens, at::kLong);
  return batch;
}

// (N, 8, 8) for every layer but the first.
std::vector<at::Tensor> random_blocks(const ModelConfig& config, at::ScalarType type) {
  std::vector<at::Tensor> blocks(static_cast<std::size_t>(config.num_layers));
  for (std::size_t i = 1; i < blocks.size(); ++i) {
    blocks[i] = at::eye(8, type) + 0.2 * at::randn({config.hidden_size / 8, 8, 8}, type);
  }
  return blocks;
}

// float64: a difference beyond rounding would be a token that sees its neighbors.
TEST(Decoder, PackingSamplesChangesNothing) {
  const ModelConfig config = tiny_config();
  const Decoder decoder = tiny_decoder(config, at::kDouble);
  const std::vector<at::Tensor> blocks = random_blocks(config, at::kDouble);
  std::vector<std::vector<std::int32_t>> samples;  // on both sides of the longrope boundary at 16
  for (const std::int64_t length : {3, 16, 17, 1, 40}) samples.push_back(random_tokens(config, length));
  const at::Tensor together = decoder.logits(decoder.hidden(packed(samples), blocks));
  std::int64_t begin = 0;
  for (const auto& sample : samples) {
    const at::Tensor alone = decoder.logits(decoder.hidden(packed({sample}), blocks));
    EXPECT_LT(relative_error(together.narrow(0, begin, alone.size(0)), alone), 1e-12) << sample.size();
    begin += alone.size(0);
  }
}

TEST(Decoder, ATokenSeesNothingAfterIt) {
  const ModelConfig config = tiny_config();
  const Decoder decoder = tiny_decoder(config, at::kDouble);
  std::vector<std::int32_t> sample = random_tokens(config, 12);
  const at::Tensor before = decoder.hidden(packed({sample}), {});
  sample[8] = (sample[8] + 1) % 50;
  const at::Tensor after = decoder.hidden(packed({sample}), {});
  EXPECT_TRUE(at::equal(before.narrow(0, 0, 8), after.narrow(0, 0, 8)));
  EXPECT_FALSE(at::allclose(before[8], after[8]));
}

TEST(Decoder, BlocksOfTheIdentityChangeNothing) {
  const ModelConfig config = tiny_config();
  const Decoder decoder = tiny_decoder(config, at::kDouble);
  const PackedBatch batch = packed({random_tokens(config, 9)});
  const std::vector<at::Tensor> identity(2, at::eye(8, at::kDouble).expand({4, 8, 8}).contiguous());
  EXPECT_LT(relative_error(decoder.hidden(batch, identity), decoder.hidden(batch, {})), 1e-14);
}

TEST(Decoder, GradientOfTheBlocksEqualsCentralDifferences) {
  const ModelConfig config = tiny_config();
  const Decoder decoder = tiny_decoder(config, at::kDouble);
  const PackedBatch batch = packed({random_tokens(config, 4), random_tokens(config, 17)});
  const std::vector<at::Tensor> blocks = random_blocks(config, at::kDouble);
  const at::Tensor direction = at::randn({21, config.hidden_size}, at::kDouble);
  const TensorFunction f = [&](const at::Tensor& first) {
    std::vector<at::Tensor> changed = blocks;
    changed[0] = first;  // the gradient flows through the whole second layer
    return decoder.hidden(batch, changed);
  };
  const at::Tensor at_blocks = at::eye(8, at::kDouble) + 0.1 * at::randn({4, 8, 8}, at::kDouble);
  EXPECT_LT(relative_error(gradient(f, at_blocks, direction), numerical_gradient(f, at_blocks, direction)), 1e-7);
}

// The budget a token and layer: two norms' inputs and roots, q, k, v, attention's output and its log-sum-exp, gate and
// up, and h where the blocks are trained. Nothing else.
TEST(Decoder, ALayerKeepsNoMoreThanItsBudget) {
  const ModelConfig config = tiny_config();
  const Decoder decoder = tiny_decoder(config, at::kBFloat16);
  constexpr std::int64_t kTokens = 48;
  const layers::PackedSequences layout = decoder.layout({kTokens});
  const at::Tensor blocks = (at::eye(8) + 0.1 * at::randn({4, 8, 8})).requires_grad_(true);
  const at::Tensor leaf = at::randn({kTokens, config.hidden_size}).to(at::kBFloat16).requires_grad_(true);
  const std::int64_t before = HeldBytes::now();
  const at::Tensor y = decoder.layer(0, leaf * 1, layout, blocks);
  const std::int64_t kept = HeldBytes::now() - before - static_cast<std::int64_t>(y.nbytes());
  const std::int64_t channels = 2 * config.hidden_size + config.qkv_rows() + config.num_heads * config.head_dim +
                                2 * config.intermediate_size + config.hidden_size;
  EXPECT_LE(kept, kTokens * (2 * channels + 2 * 4 + 4 * config.num_heads));
}

// With norms of the heads, and a bias of every matrix.
Decoder adorned_decoder(ModelConfig config, at::ScalarType type) {
  config.head_norms = true;
  Weights weights = tiny_weights(config, type);
  for (LayerWeights& layer : weights.layers) {
    layer.query_norm = (1 + 0.2 * at::randn({config.head_dim})).to(type);
    layer.key_norm = (1 + 0.2 * at::randn({config.head_dim})).to(type);
    for (const TensorSpec& matrix : layer_matrices(config))
      layer.matrix(matrix.role).set_bias((0.2 * at::randn({matrix.shape[0]})).to(type));
  }
  return {std::move(config), std::move(weights)};
}

TEST(Decoder, TheGradientPassesBiasesAndNormsOfHeads) {
  const ModelConfig config = tiny_config();
  const Decoder decoder = adorned_decoder(config, at::kDouble);
  const PackedBatch batch = packed({random_tokens(config, 4), random_tokens(config, 17)});
  const std::vector<at::Tensor> blocks = random_blocks(config, at::kDouble);
  const at::Tensor direction = at::randn({21, config.hidden_size}, at::kDouble);
  const TensorFunction f = [&](const at::Tensor& first) { return decoder.hidden(batch, {first, blocks[1]}); };
  const at::Tensor first = at::eye(8, at::kDouble) + 0.1 * at::randn({4, 8, 8}, at::kDouble);
  EXPECT_LT(relative_error(gradient(f, first, direction), numerical_gradient(f, first, direction)), 1e-7);
}

// The inputs and roots of the heads' norms come on top.
TEST(Decoder, ALayerWithNormsOfHeadsKeepsWhatThePlanCounts) {
  const ModelConfig config = tiny_config();
  const Decoder decoder = adorned_decoder(config, at::kBFloat16);
  constexpr std::int64_t kTokens = 48;
  const layers::PackedSequences layout = decoder.layout({kTokens});
  const at::Tensor blocks = (at::eye(8) + 0.1 * at::randn({4, 8, 8})).requires_grad_(true);
  const at::Tensor leaf = at::randn({kTokens, config.hidden_size}).to(at::kBFloat16).requires_grad_(true);
  const std::int64_t before = HeldBytes::now();
  const at::Tensor y = decoder.layer(0, leaf * 1, layout, blocks);
  const std::int64_t kept = HeldBytes::now() - before - static_cast<std::int64_t>(y.nbytes());
  EXPECT_LE(kept, kTokens * static_cast<std::int64_t>(kept_bytes_per_token(decoder.config(), 2)));
}

TEST(Decoder, NoWeightHasAGradientAfterBackward) {
  const ModelConfig config = tiny_config();
  const Weights weights = tiny_weights(config, at::kFloat);
  const Decoder decoder(config, weights);
  const at::Tensor blocks = at::eye(8).repeat({4, 1, 1}).requires_grad_(true);
  decoder.logits(decoder.hidden(packed({random_tokens(config, 5)}), {blocks, blocks})).sum().backward();
  EXPECT_TRUE(blocks.grad().defined());
  const LayerWeights& first = weights.layers[0];
  for (const at::Tensor& weight :
       {weights.embedding, weights.head, weights.final_norm, first.input_norm, first.qkv.dense(),
        first.attention_output.dense(), first.post_attention_norm, first.gate_up.dense(), first.down.dense()}) {
    EXPECT_FALSE(weight.requires_grad());
    EXPECT_FALSE(weight.grad().defined());
  }
}

class CachedDecoder : public ::testing::TestWithParam<std::optional<std::int64_t>> {};

// One token a step, several at a time, a branch that shares only a beginning, and the crossing of the boundary at 16.
TEST_P(CachedDecoder, EqualsTheWholeSequenceAtEveryStep) {
  ModelConfig config = tiny_config();
  config.sliding_window = GetParam();
  const Decoder decoder = tiny_decoder(config, at::kDouble);
  const std::vector<at::Tensor> blocks = random_blocks(config, at::kDouble);
  SequenceDecoder sequence(decoder, blocks);
  std::vector<std::int32_t> tokens = random_tokens(config, 30);
  for (const std::size_t length : {4, 5, 6, 11, 15, 16, 17, 18, 25, 30, 30, 12}) {
    if (length == 12) tokens[7] = (tokens[7] + 1) % 50;
    const std::vector<std::int32_t> prefix(tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(length));
    const at::Tensor whole = decoder.logits(decoder.hidden(packed({prefix}), blocks));
    EXPECT_LT(relative_error(sequence.next_logits(prefix), whole[whole.size(0) - 1]), 1e-12) << length;
  }
}

INSTANTIATE_TEST_SUITE_P(Windows, CachedDecoder, ::testing::Values(std::nullopt, 1, 7),
                         [](const auto& test) { return "GlobalBatch" + std::to_string(test.param.value_or(0)); });

}  // namespace
}  // namespace nkat::models
