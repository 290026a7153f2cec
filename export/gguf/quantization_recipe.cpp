#include "export/gguf/quantization_recipe.h"

#include <array>

#include "core/error.h"

namespace nkat::exporting {
namespace {

using gguf::GgmlType;

struct RecipeTraits {
  QuantizationRecipe recipe;
  const char* name;
  std::uint32_t file_type;
  GgmlType most;    // of the tensors without a rule of their own
  GgmlType output;  // of output.weight
};
constexpr std::array kRecipes = {
    RecipeTraits{QuantizationRecipe::kF32, "f32", 0, GgmlType::kF32, GgmlType::kF32},
    RecipeTraits{QuantizationRecipe::kF16, "f16", 1, GgmlType::kF16, GgmlType::kF16},
    RecipeTraits{QuantizationRecipe::kBF16, "bf16", 32, GgmlType::kBF16, GgmlType::kBF16},
    RecipeTraits{QuantizationRecipe::kQ8_0, "q8_0", 7, GgmlType::kQ8_0, GgmlType::kQ8_0},
    RecipeTraits{QuantizationRecipe::kQ4_0, "q4_0", 2, GgmlType::kQ4_0, GgmlType::kQ6_K},
    RecipeTraits{QuantizationRecipe::kQ4_K_S, "q4_k_s", 14, GgmlType::kQ4_K, GgmlType::kQ6_K},
    RecipeTraits{QuantizationRecipe::kQ4_K_M, "q4_k_m", 15, GgmlType::kQ4_K, GgmlType::kQ6_K},
    RecipeTraits{QuantizationRecipe::kQ5_K_S, "q5_k_s", 16, GgmlType::kQ5_K, GgmlType::kQ6_K},
    RecipeTraits{QuantizationRecipe::kQ5_K_M, "q5_k_m", 17, GgmlType::kQ5_K, GgmlType::kQ6_K},
    RecipeTraits{QuantizationRecipe::kQ6_K, "q6_k", 18, GgmlType::kQ6_K, GgmlType::kQ6_K},
};

const RecipeTraits& traits(QuantizationRecipe recipe) {
  for (const RecipeTraits& one : kRecipes) {
    if (one.recipe == recipe) return one;
  }
  NKAT_INVARIANT(false);
}

bool gets_more_bits(std::int64_t layer, std::int64_t layers) {
  return layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2;
}

}  // namespace

const std::vector<std::string>& recipe_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const RecipeTraits& one : kRecipes) all.emplace_back(one.name);
    return all;
  }();
  return names;
}

std::optional<QuantizationRecipe> parse_recipe(std::string_view name) {
  for (const RecipeTraits& one : kRecipes) {
    if (one.name == name) return one.recipe;
  }
  return std::nullopt;
}

bool uses_importance(QuantizationRecipe recipe) {
  const GgmlType most = traits(recipe).most;
  return most != GgmlType::kF32 && most != GgmlType::kF16 && most != GgmlType::kBF16 && most != GgmlType::kQ8_0;
}
std::uint32_t file_type(QuantizationRecipe recipe) { return traits(recipe).file_type; }

GgmlType requested_type(QuantizationRecipe recipe, const models::TensorSpec& tensor, std::int64_t layers) {
  if (tensor.kind == models::TensorKind::kNorm || tensor.kind == models::TensorKind::kBias) return GgmlType::kF32;
  if (tensor.role == models::TensorRole::kHead) return traits(recipe).output;
  const bool is_down = tensor.role == models::TensorRole::kDown;
  const bool has_values = tensor.role == models::TensorRole::kQkv &&
                          (tensor.part == models::TensorPart::kWhole || tensor.part == models::TensorPart::kValue);
  if ((recipe == QuantizationRecipe::kQ4_K_M || recipe == QuantizationRecipe::kQ5_K_M) && (has_values || is_down) &&
      gets_more_bits(tensor.layer, layers))
    return GgmlType::kQ6_K;
  if (recipe == QuantizationRecipe::kQ4_K_S &&
      ((has_values && tensor.layer < 4) || (is_down && tensor.layer < layers / 8)))
    return GgmlType::kQ5_K;
  return traits(recipe).most;
}

}  // namespace nkat::exporting
