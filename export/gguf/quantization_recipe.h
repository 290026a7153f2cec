// Which type each tensor of a file gets, as llama-quantize chooses them (data/FORMATS.md 4.4).
//
//   norms, biases, rope factors  F32, always
//   f32, f16, bf16, q8_0, q6_k that type everywhere
//   q4_0, q4_k_*, q5_k_*       output.weight Q6_K; q4_k_m and q5_k_m spend Q6_K on attn_qkv or attn_v and ffn_down of
//                              half the layers, q4_k_s Q5_K on a few of the first
//
// Rows that aren't a multiple of a type's block fall back (storable_type); fallbacks() lists them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/quantize/ggml_type.h"
#include "models/tensor_table.h"

namespace nkat::exporting {

enum class QuantizationRecipe { kF32, kF16, kBF16, kQ8_0, kQ4_0, kQ4_K_S, kQ4_K_M, kQ5_K_S, kQ5_K_M, kQ6_K };

const std::vector<std::string>& recipe_names();  // as --quantization spells them
std::optional<QuantizationRecipe> parse_recipe(std::string_view name);
std::uint32_t file_type(QuantizationRecipe recipe);  // general.file_type

// Does any tensor get a type whose encoder uses an importance matrix? F32 to Q8_0 round each weight alone.
bool uses_importance(QuantizationRecipe recipe);

// layers: of the model.
gguf::GgmlType requested_type(QuantizationRecipe recipe, const models::TensorSpec& tensor, std::int64_t layers);

}  // namespace nkat::exporting
