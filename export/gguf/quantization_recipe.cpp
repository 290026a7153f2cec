#include "export/gguf/quantization_recipe.h"

#include <array>

#include "core/error.h"

namespace nkat::exporting {
namespace {

using gguf::GgmlType;

struct MixTraits {
  QuantizationRecipe mix;
  const char* name;
  std::uint32_t file_type;
  GgmlType most;    // of the tensors without a rule of their own
  GgmlType output;  // of output.weight
};
constexpr std::array kMixes = {
    MixTraits{QuantizationRecipe::kF32, "f32", 0, GgmlType::kF32, GgmlType::kF32},
    MixTraits{QuantizationRecipe::kF16, "f16", 1, GgmlType::kF16, GgmlType::kF16},
    MixTraits{QuantizationRecipe::kBF16, "bf16", 32, GgmlType::kBF16, GgmlType::kBF16},
    MixTraits{QuantizationRecipe::kQ8_0, "q8_0", 7, GgmlType::kQ8_0, GgmlType::kQ8_0},
    MixTraits{QuantizationRecipe::kQ4_0, "q4_0", 2, GgmlType::kQ4_0, GgmlType::kQ6_K},
    MixTraits{QuantizationRecipe::kQ4_K_S, "q4_k_s", 14, GgmlType::kQ4_K, GgmlType::kQ6_K},
    MixTraits{QuantizationRecipe::kQ4_K_M, "q4_k_m", 15, GgmlType::kQ4_K, GgmlType::kQ6_K},
    MixTraits{QuantizationRecipe::kQ5_K_S, "q5_k_s", 16, GgmlType::kQ5_K, GgmlType::kQ6_K},
    MixTraits{QuantizationRecipe::kQ5_K_M, "q5_k_m", 17, GgmlType::kQ5_K, GgmlType::kQ6_K},
    MixTraits{QuantizationRecipe::kQ6_K, "q6_k", 18, GgmlType::kQ6_K, GgmlType::kQ6_K},
};

const MixTraits& traits(QuantizationRecipe mix) {
  for (const MixTraits& one : kMixes) {
    if (one.mix == mix) return one;
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
    for (const MixTraits& one : kMixes) all.emplace_back(one.name);
    return all;
  }();
  return names;
}

std::optional<QuantizationRecipe> parse_recipe(std::string_view name) {
  for (const MixTraits& one : kMixes) {
    if (one.name == name) return one.mix;
  }
  return std::nullopt;
}

const char* mix_name(QuantizationRecipe mix) { return traits(mix).name; }
bool uses_importance(QuantizationRecipe mix) {
  const GgmlType most = traits(mix).most;
  return most != GgmlType::kF32 && most != GgmlType::kF16 && most != GgmlType::kBF16 && most != GgmlType::kQ8_0;
}
std::uint32_t file_type(QuantizationRecipe mix) { return traits(mix).file_type; }

GgmlType wanted_type(QuantizationRecipe mix, TensorRole role, std::int64_t layer, std::int64_t layers) {
  if (role == TensorRole::kVector) return GgmlType::kF32;
  if (role == TensorRole::kOutput) return traits(mix).output;
  const bool is_qkv = role == TensorRole::kQkv, is_down = role == TensorRole::kDown;
  if ((mix == QuantizationRecipe::kQ4_K_M || mix == QuantizationRecipe::kQ5_K_M) && (is_qkv || is_down) &&
      gets_more_bits(layer, layers))
    return GgmlType::kQ6_K;
  if (mix == QuantizationRecipe::kQ4_K_S && ((is_qkv && layer < 4) || (is_down && layer < layers / 8)))
    return GgmlType::kQ5_K;
  return traits(mix).most;
}

}  // namespace nkat::exporting
