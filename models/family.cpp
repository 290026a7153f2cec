#include "models/family.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/error.h"

namespace nkat::models {
namespace {

constexpr std::array kFamilies = {
    FamilyTraits{Family::kPhi3, "Phi-3", "phi3", "Phi3ForCausalLM", "phi3"},
    FamilyTraits{Family::kLlama, "Llama", "llama", "LlamaForCausalLM", "llama"},
    FamilyTraits{Family::kMistral, "Mistral", "mistral", "MistralForCausalLM", "llama"},
    FamilyTraits{Family::kQwen2, "Qwen2", "qwen2", "Qwen2ForCausalLM", "qwen2"},
    FamilyTraits{Family::kQwen3, "Qwen3", "qwen3", "Qwen3ForCausalLM", "qwen3"},
};

struct Refused {
  const char* start;  // of the model_type
  const char* description;
};

// The longest start that fits comes first.
constexpr Refused kRefused[] = {
    {"phi3small", "Phi-3-small (block-sparse attention, biases)"},
    {"phimoe", "Phi-3.5-MoE (mixture of experts)"},
    {"phi3_v", "Phi-3-vision (image input)"},
    {"phi4mm", "Phi-4-multimodal (image and audio input)"},
    {"phi4_multimodal", "Phi-4-multimodal (image and audio input)"},
    {"gemma", "Gemma (norms around each block, scaled embeddings)"},
    {"gpt_neox", "GPT-NeoX, as weblab-10b and Pythia are (layer norms, parallel blocks)"},
    {"mixtral", "Mixtral (mixture of experts)"},
    {"qwen2_moe", "Qwen2-MoE (mixture of experts)"},
    {"qwen3_moe", "Qwen3-MoE (mixture of experts)"},
    {"qwen3_next", "Qwen3-Next (linear attention, mixture of experts)"},
    {"qwen2_vl", "Qwen2-VL (image input)"},
    {"qwen2_5_vl", "Qwen2.5-VL (image input)"},
    {"qwen3_vl", "Qwen3-VL (image input)"},
    {"llama4", "Llama 4 (mixture of experts)"},
    {"mllama", "Llama 3.2 Vision (image input)"},
    {"mistral3", "Mistral Small 3 with images"},
    {"ministral", "Ministral (windows in some layers only)"},
    {"deepseek_v", "DeepSeek (mixture of experts, latent attention)"},
    {"smollm3", "SmolLM3 (layers without rotary embedding)"},
    {"gpt_oss", "gpt-oss (mixture of experts)"},
    {"gpt2", "GPT-2 (learned positions)"},
};

}  // namespace

std::span<const FamilyTraits> known_families() { return kFamilies; }

const FamilyTraits& traits_of(Family family) {
  const auto* const found = std::ranges::find(kFamilies, family, &FamilyTraits::family);
  NKAT_INVARIANT(found != kFamilies.end());
  return *found;
}

std::string known_model_types() {
  std::string text;
  for (const FamilyTraits& one : kFamilies) text += fmt::format("{}\"{}\"", text.empty() ? "" : ", ", one.model_type);
  return text;
}

std::string refused_model_type(const std::string& model_type) {
  for (const auto& [start, description] : kRefused) {
    if (!model_type.starts_with(start)) continue;
    return fmt::format(
        "model_type \"{}\" is {}, another architecture; only {} are supported. Converted to GGUF it runs in llama.cpp, "
        "without an adapter",
        model_type, description, known_model_types());
  }
  return "";
}

}  // namespace nkat::models
