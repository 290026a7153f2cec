#include "models/weights/weights.h"

#include <limits>

#include <ATen/ops/cosine_similarity.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/held_bytes.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_model.h"

namespace nkat::models {
namespace {

using namespace nkat::testing;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;
using Tensors = std::map<std::string, at::Tensor>;

Weights load(const ModelConfig& config, const Tensors& tensors, at::ScalarType type = at::kFloat) {
  TemporaryFolder folder;
  folder.write("model.safetensors", serialized(tensors));
  return load_weights(folder.path(), config, {.dtype = type});
}

TEST(Weights, ReadsEveryTensorOfAFloat32Checkpoint) {
  const ModelConfig config = tiny_config();
  const Tensors tensors = tiny_tensors(config);
  const Weights weights = load(config, tensors);
  EXPECT_TRUE(at::equal(weights.embedding, tensors.at("model.embed_tokens.weight")));
  EXPECT_TRUE(at::equal(weights.layers[1].qkv.dense(), tensors.at("model.layers.1.self_attn.qkv_proj.weight")));
  EXPECT_TRUE(at::equal(weights.layers[0].down.dense(), tensors.at("model.layers.0.mlp.down_proj.weight")));
  EXPECT_TRUE(
      at::equal(weights.layers[0].post_attention_norm, tensors.at("model.layers.0.post_attention_layernorm.weight")));
  EXPECT_TRUE(at::equal(weights.final_norm, tensors.at("model.norm.weight")));
  EXPECT_TRUE(at::equal(weights.head, tensors.at("lm_head.weight")));
  EXPECT_FALSE(weights.head.requires_grad());
}

TEST(Weights, ConvertsEachStoredTypeToTheTypeAskedFor) {
  const ModelConfig config = tiny_config();
  for (const at::ScalarType stored : {at::kFloat, at::kHalf, at::kBFloat16}) {
    Tensors tensors = tiny_tensors(config);
    for (auto& entry : tensors) entry.second = entry.second.to(stored);
    for (const at::ScalarType wanted : {at::kFloat, at::kBFloat16, at::kDouble}) {
      const Weights weights = load(config, tensors, wanted);
      EXPECT_TRUE(at::equal(weights.head, tensors.at("lm_head.weight").to(wanted))) << stored << wanted;
    }
  }
}

TEST(Weights, TiedEmbeddingsShareOneTensor) {
  ModelConfig config = tiny_config();
  config.tie_word_embeddings = true;
  Tensors tensors = tiny_tensors(config);
  const Weights weights = load(config, tensors);
  EXPECT_TRUE(weights.head.is_same(weights.embedding));
  tensors["lm_head.weight"] = tensors.at("model.embed_tokens.weight");  // as some writers store it
  EXPECT_TRUE(load(config, tensors).head.defined());
}

// The same rows, stored as Llama stores them.
Tensors stored_apart(const ModelConfig& config, const Tensors& tensors) {
  Tensors apart;
  for (const TensorSpec& tensor : checkpoint_tensors(config)) {
    std::string stacked = tensor.name;
    std::int64_t above = 0;
    const std::int64_t query_rows = config.num_heads * config.head_dim,
                       key_rows = config.num_key_value_heads * config.head_dim;
    const auto take = [&](const std::string& part, const std::string& whole, std::int64_t first) {
      if (const auto at = stacked.find(part); at != std::string::npos) {
        stacked.replace(at, part.size(), whole);
        above = first;
      }
    };
    take("q_proj", "qkv_proj", 0);
    take("k_proj", "qkv_proj", query_rows);
    take("v_proj", "qkv_proj", query_rows + key_rows);
    take("gate_proj", "gate_up_proj", 0);
    take("up_proj", "gate_up_proj", config.intermediate_size);
    apart[tensor.name] = tensors.at(stacked).narrow(0, above, tensor.shape[0]).contiguous();
  }
  return apart;
}

TEST(Weights, PartsThatAreStoredApartBecomeTheSameMatrices) {
  ModelConfig config = tiny_config();
  const Tensors tensors = tiny_tensors(config);
  TemporaryFolder whole, apart;
  whole.write("model.safetensors", serialized(tensors));
  ModelConfig llama = config;
  llama.family = Family::kLlama;
  apart.write("model.safetensors", serialized(stored_apart(llama, tensors)));
  const at::Tensor x = at::randn({3, config.hidden_size});
  for (const BaseFormat kind : {BaseFormat::kSafe, BaseFormat::kBalanced, BaseFormat::kAggressive}) {
    const Weights left = load_weights(whole.path(), config, {.forms = formats_of(kind)});
    const Weights right = load_weights(apart.path(), llama, {.forms = formats_of(kind)});
    for (const TensorRole role : {TensorRole::kQkv, TensorRole::kGateUp}) {
      EXPECT_TRUE(at::equal(layers::linear(x, left.layers[1].matrix(role)), layers::linear(x, right.layers[1].matrix(role))))
          << static_cast<int>(kind);
    }
  }
}

TEST(Weights, BiasesAndNormsOfHeadsAreLoadedWithTheirMatrices) {
  ModelConfig config = tiny_config();
  config.family = Family::kQwen3;
  config.qkv_bias = config.output_bias = config.head_norms = true;
  const Tensors tensors = tiny_tensors(config);
  const Weights weights = load(config, tensors, at::kBFloat16);
  const std::string attention = "model.layers.1.self_attn.";
  const at::Tensor stacked = at::cat({tensors.at(attention + "q_proj.bias"), tensors.at(attention + "k_proj.bias"),
                                      tensors.at(attention + "v_proj.bias")});
  EXPECT_TRUE(at::equal(weights.layers[1].qkv.bias(), stacked.to(at::kBFloat16)));
  EXPECT_FALSE(weights.layers[1].down.bias().defined());
  EXPECT_TRUE(at::equal(weights.layers[1].key_norm, tensors.at(attention + "k_norm.weight").to(at::kBFloat16)));
}

TEST(Weights, IgnoresStoredRotaryFrequencies) {
  const ModelConfig config = tiny_config();
  Tensors tensors = tiny_tensors(config);
  tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = at::ones({4});
  EXPECT_TRUE(load(config, tensors).head.defined());
}

TEST(Weights, AQuantizedBaseHoldsItsMatricesInTheirFormAndTheRestAsItIs) {
  const ModelConfig config = tiny_config();
  const Tensors tensors = tiny_tensors(config);
  TemporaryFolder folder;
  folder.write("model.safetensors", serialized(tensors));
  for (const BaseFormat kind : {BaseFormat::kBalanced, BaseFormat::kAggressive}) {
    const Weights weights = load_weights(folder.path(), config, {.forms = formats_of(kind)});
    EXPECT_TRUE(at::equal(weights.embedding, tensors.at("model.embed_tokens.weight")));
    EXPECT_TRUE(at::equal(weights.head, tensors.at("lm_head.weight")));
    const layers::Weight& down = weights.layers[1].down;
    EXPECT_THROW(down.dense(), InternalError);
    EXPECT_EQ(down.rows(), 32);
    EXPECT_EQ(down.columns(), 40);
    double bytes = 0;
    for (const auto& shape : layer_matrices(config)) bytes += matrix_bytes(shape, formats_of(kind).of(shape.role), 4);
    const LayerWeights& layer = weights.layers[1];
    const std::size_t held =
        layer.qkv.bytes() + layer.attention_output.bytes() + layer.gate_up.bytes() + layer.down.bytes();
    EXPECT_EQ(static_cast<double>(held), bytes);
    const at::Tensor x = at::randn({50, 40}), y = layers::linear(x, down);
    const at::Tensor plain = at::linear(x, tensors.at("model.layers.1.mlp.down_proj.weight"));
    EXPECT_GT(at::cosine_similarity(y.flatten(), plain.flatten(), 0).item<double>(), 0.99);
  }
}

// A matrix of 24 MiB in float32 is read in two pieces of at most 16, each beside its 8-bit rows, as is the embedding's
// 1 MiB; read whole it would take 30 MiB beside the quantized model.
TEST(Weights, AQuantizedBaseIsReadInPiecesAndNeverHeldWhole) {
  ModelConfig config = tiny_config();
  config.hidden_size = 512;
  config.head_dim = 128;
  config.intermediate_size = 6144;
  config.num_layers = 1;
  TemporaryFolder folder;
  Tensors tensors = tiny_tensors(config);
  for (auto& entry : tensors) entry.second = entry.second.to(at::kBFloat16);
  folder.write("model.safetensors", serialized(tensors));
  tensors.clear();
  for (const BaseFormat kind : {BaseFormat::kBalanced, BaseFormat::kAggressive}) {
    const std::int64_t before = HeldBytes::now();
    HeldBytes::forget_peak();
    const Weights weights = load_weights(folder.path(), config, {.dtype = at::kBFloat16, .forms = formats_of(kind)});
    const std::int64_t held = HeldBytes::now() - before;
    EXPECT_LE(held, 12 << 20);
    EXPECT_LE(HeldBytes::peak() - before, held + (21 << 20));
  }
}

TEST(Weights, CountsValuesThatAreNotFiniteInAllPiecesOfAQuantizedBase) {
  ModelConfig config = tiny_config();
  config.num_layers = 1;
  config.hidden_size = 64;
  config.intermediate_size = 40000;  // gate_up takes 20 MB in float32, a piece 16 MiB
  Tensors tensors = tiny_tensors(config);
  at::Tensor& gate_up = tensors["model.layers.0.mlp.gate_up_proj.weight"];
  gate_up[3][5] = std::numeric_limits<double>::infinity();
  gate_up[79999].narrow(0, 62, 2).fill_(std::nan(""));
  TemporaryFolder folder;
  folder.write("model.safetensors", serialized(tensors));
  EXPECT_THAT([&] { load_weights(folder.path(), config, {.forms = formats_of(BaseFormat::kBalanced)}); },
              ThrowsMessage<FormatError>(AllOf(HasSubstr("gate_up_proj"), HasSubstr("holds 3 values"))));
}

TEST(Weights, NamesWhatIsMissingUnexpectedOrOfAnotherType) {
  const ModelConfig config = tiny_config();
  Tensors tensors = tiny_tensors(config);
  tensors.erase("model.layers.1.mlp.down_proj.weight");
  EXPECT_THAT(
      [&] { load(config, tensors); },
      ThrowsMessage<FormatError>(AllOf(HasSubstr("model.layers.1.mlp.down_proj.weight"), HasSubstr("missing"))));
  tensors = tiny_tensors(config);
  tensors["model.layers.2.input_layernorm.weight"] = at::ones({32});
  EXPECT_THAT(
      [&] { load(config, tensors); },
      ThrowsMessage<FormatError>(AllOf(HasSubstr("model.layers.2.input_layernorm.weight"), HasSubstr("2 layers"))));
  tensors = tiny_tensors(config);
  tensors["model.norm.weight"] = tensors["model.norm.weight"].to(at::kDouble);
  EXPECT_THAT([&] { load(config, tensors); },
              ThrowsMessage<FormatError>(AllOf(HasSubstr("model.norm.weight"), HasSubstr("F64"))));
}

TEST(Weights, NamesATensorOfAnotherShape) {
  const ModelConfig config = tiny_config();
  Tensors tensors = tiny_tensors(config);
  tensors["model.layers.0.self_attn.qkv_proj.weight"] = at::ones({32, 64});
  EXPECT_THAT([&] { load(config, tensors); },
              ThrowsMessage<ShapeError>(AllOf(HasSubstr("model.layers.0.self_attn.qkv_proj.weight"),
                                              HasSubstr("[64, 32]"), HasSubstr("[32, 64]"))));
}

TEST(Weights, NamesATensorWithValuesThatAreNotFinite) {
  const ModelConfig config = tiny_config();
  for (const double value : {std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
    Tensors tensors = tiny_tensors(config);
    tensors["model.layers.1.mlp.gate_up_proj.weight"][3][5] = value;
    EXPECT_THAT(
        [&] { load(config, tensors); },
        ThrowsMessage<FormatError>(AllOf(HasSubstr("model.layers.1.mlp.gate_up_proj.weight"), HasSubstr("1 values"))));
  }
}

}  // namespace
}  // namespace nkat::models
