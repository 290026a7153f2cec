// The decoder families that are known, and what tells them apart: names in config.json and in a GGUF file. What a model
// of a family computes is in its config (models/config.h), its tensors in models/tensor_table.h. No LibTorch.
#pragma once

#include <span>
#include <string>

namespace nkat::models {

enum class Family { kPhi3, kLlama, kMistral, kQwen2, kQwen3 };

struct FamilyTraits {
  Family family;
  const char* title;              // "Phi-3"
  const char* model_type;         // of config.json
  const char* architecture;       // of config.json: transformers' class
  const char* gguf_architecture;  // several families may share one
};
std::span<const FamilyTraits> known_families();
const FamilyTraits& traits_of(Family family);
// "\"phi3\", \"llama\", ..."
std::string known_model_types();

// A model_type that is known and refused: what it is, and the way out. Empty for any other.
std::string refused_model_type(const std::string& model_type);

}  // namespace nkat::models
