#include "export/gguf/gguf_order.h"

#include <gtest/gtest.h>

namespace nkat::exporting {
namespace {

// Element (row, column) is 100 row + column; a vector counts.
class Counting final : public models::WeightSource {
 public:
  models::MatrixShape shape(const std::string&) const override { return {.rows = 16, .columns = 2}; }
  void read(const std::string& tensor, std::size_t first_row, std::span<float> out) const override {
    const bool is_vector = tensor.ends_with("bias");
    for (std::size_t i = 0; i < out.size(); ++i)
      out[i] = static_cast<float>(is_vector ? i : 100 * (first_row + i / 2) + i % 2);
  }
  void release(const std::string&) const override {}
};

models::ModelConfig config_of(models::Family family) {
  models::ModelConfig config;
  config.family = family;
  config.hidden_size = 2;
  config.num_layers = 1;
  config.num_heads = 2;
  config.num_key_value_heads = 1;
  config.head_dim = 8;
  config.qkv_bias = true;
  return config;
}

std::vector<float> rows(models::Family family, const std::string& name, std::size_t first, std::size_t count) {
  const Counting counting;
  const GgufOrderedWeights ordered(counting, config_of(family));
  std::vector<float> values(name.ends_with("bias") ? count : 2 * count), firsts;
  ordered.read("model.layers.0.self_attn." + name, first, values);
  if (name.ends_with("bias")) return values;
  for (std::size_t i = 0; i < count; ++i) firsts.push_back(values[2 * i] / 100);
  return firsts;
}

using Rows = std::vector<float>;

TEST(GgufOrder, HalvesOfEachHeadAlternateInALlamaFile) {
  for (const auto family : {models::Family::kLlama, models::Family::kMistral}) {
    EXPECT_EQ(rows(family, "q_proj.weight", 0, 16), (Rows{0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15}));
    EXPECT_EQ(rows(family, "q_proj.weight", 9, 3), (Rows{12, 9, 13}));
    EXPECT_EQ(rows(family, "k_proj.weight", 0, 8), (Rows{0, 4, 1, 5, 2, 6, 3, 7}));
    EXPECT_EQ(rows(family, "k_proj.bias", 0, 8), (Rows{0, 4, 1, 5, 2, 6, 3, 7}));
  }
}

TEST(GgufOrder, ValuesAndOtherFamiliesStayAsTheyAre) {
  EXPECT_EQ(rows(models::Family::kLlama, "v_proj.weight", 3, 2), (Rows{3, 4}));
  EXPECT_EQ(rows(models::Family::kQwen2, "q_proj.weight", 3, 2), (Rows{3, 4}));
}

}  // namespace
}  // namespace nkat::exporting
