#include "export/gguf/quantization_recipe.h"

#include <set>

#include <gtest/gtest.h>

namespace nkat::exporting {
namespace {

using gguf::GgmlType;
using models::TensorKind;
using models::TensorRole;

GgmlType type_of(QuantizationRecipe recipe, TensorRole role, std::int64_t layer, std::int64_t layers) {
  const bool is_norm = role == TensorRole::kInputNorm || role == TensorRole::kFinalNorm;
  return requested_type(
      recipe, {.role = role, .kind = is_norm ? TensorKind::kNorm : TensorKind::kMatrix, .layer = layer}, layers);
}

std::set<std::int64_t> layers_with(QuantizationRecipe recipe, TensorRole role, GgmlType type, std::int64_t layers) {
  std::set<std::int64_t> found;
  for (std::int64_t layer = 0; layer < layers; ++layer) {
    if (type_of(recipe, role, layer, layers) == type) found.insert(layer);
  }
  return found;
}

// What llama-quantize gave a phi3 of 32 layers (data/FORMATS.md 4.4).
const std::set<std::int64_t> kMoreBits = {0, 1, 2, 3, 6, 9, 12, 15, 18, 21, 24, 27, 28, 29, 30, 31};

TEST(QuantizationRecipeTest, Q4KMAndQ5KMSpendQ6KOnHalfTheLayers) {
  for (const QuantizationRecipe recipe : {QuantizationRecipe::kQ4_K_M, QuantizationRecipe::kQ5_K_M}) {
    EXPECT_EQ(layers_with(recipe, TensorRole::kQkv, GgmlType::kQ6_K, 32), kMoreBits);
    EXPECT_EQ(layers_with(recipe, TensorRole::kDown, GgmlType::kQ6_K, 32), kMoreBits);
  }
  EXPECT_EQ(type_of(QuantizationRecipe::kQ4_K_M, TensorRole::kDown, 4, 32), GgmlType::kQ4_K);
  EXPECT_EQ(type_of(QuantizationRecipe::kQ5_K_M, TensorRole::kDown, 4, 32), GgmlType::kQ5_K);
}

TEST(QuantizationRecipeTest, Q4KSSpendsQ5KOnTheFirstLayers) {
  EXPECT_EQ(layers_with(QuantizationRecipe::kQ4_K_S, TensorRole::kQkv, GgmlType::kQ5_K, 32),
            (std::set<std::int64_t>{0, 1, 2, 3}));
  EXPECT_EQ(layers_with(QuantizationRecipe::kQ4_K_S, TensorRole::kDown, GgmlType::kQ5_K, 32),
            (std::set<std::int64_t>{0, 1, 2, 3}));
  EXPECT_EQ(layers_with(QuantizationRecipe::kQ4_K_S, TensorRole::kDown, GgmlType::kQ5_K, 16),
            (std::set<std::int64_t>{0, 1}));
}

TEST(QuantizationRecipeTest, BlockRecipesKeepTheOutputAtQ6KAndNormsAtF32) {
  for (const QuantizationRecipe recipe :
       {QuantizationRecipe::kQ4_0, QuantizationRecipe::kQ4_K_S, QuantizationRecipe::kQ4_K_M,
        QuantizationRecipe::kQ5_K_S, QuantizationRecipe::kQ5_K_M, QuantizationRecipe::kQ6_K}) {
    EXPECT_EQ(type_of(recipe, TensorRole::kHead, -1, 32), GgmlType::kQ6_K);
    EXPECT_EQ(type_of(recipe, TensorRole::kInputNorm, 3, 32), GgmlType::kF32);
  }
  EXPECT_EQ(type_of(QuantizationRecipe::kQ8_0, TensorRole::kHead, -1, 32), GgmlType::kQ8_0);
  EXPECT_EQ(type_of(QuantizationRecipe::kQ4_0, TensorRole::kEmbedding, -1, 32), GgmlType::kQ4_0);
  EXPECT_EQ(type_of(QuantizationRecipe::kBF16, TensorRole::kInputNorm, 0, 32), GgmlType::kF32);
}

TEST(QuantizationRecipeTest, NamesAndFileTypesAreLlamaCpps) {
  EXPECT_EQ(file_type(*parse_recipe("q4_k_m")), 15u);
  EXPECT_EQ(file_type(*parse_recipe("q4_k_s")), 14u);
  EXPECT_EQ(file_type(*parse_recipe("q5_k_m")), 17u);
  EXPECT_EQ(file_type(*parse_recipe("q5_k_s")), 16u);
  EXPECT_EQ(file_type(*parse_recipe("q6_k")), 18u);
  EXPECT_EQ(file_type(*parse_recipe("bf16")), 32u);
  EXPECT_FALSE(parse_recipe("q3_k_m"));
}

}  // namespace
}  // namespace nkat::exporting
