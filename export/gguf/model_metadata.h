// The metadata of a GGUF file, every key with the type that llama.cpp insists on (data/FORMATS.md 5.1), and ours.
//
// phi3.rope.scaling.factor is never written: llama.cpp would divide all positions by it. general.name has a meaning:
// llama.cpp strips white space after role tokens only if it contains "phi-3" or "phi3".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/formats/gguf_metadata.h"
#include "data/text/gguf_vocabulary.h"
#include "export/gguf/quantization_recipe.h"
#include "export/gguf/token_table.h"
#include "export/imatrix/importance.h"
#include "models/config.h"

namespace nkat::exporting {

// In every file that `nkat export` writes.
inline constexpr const char* kVersionKey = "nkat.version";

// The origin of a file, as the nkat.* keys name it.
struct Provenance {
  std::string base_sha256;          // empty: not known
  std::string adapter_sha256 = "";  // of adapter_model.safetensors; empty: the base alone was exported
  std::uint32_t first_layer = 0;
  std::vector<float> gates = {};                     // σ(α), from first_layer up
  std::optional<std::uint32_t> step = std::nullopt;  // of the training run, if the adapter is a checkpoint's
  std::string trained_on = "";                       // the base's hash that the adapter names
  bool has_adapter() const { return !adapter_sha256.empty(); }
};

struct ModelText {
  std::string name;
  std::string chat_template;
};

gguf::GgufMetadata model_metadata(const models::ModelConfig& config, const Vocabulary& vocabulary,
                                  const ModelText& text, QuantizationRecipe recipe, std::uint32_t context_length);
// nkat.importance.*, if an importance was measured.
void add_importance(const Importance& importance, gguf::GgufMetadata& metadata);
void add_provenance(const Provenance& provenance, gguf::GgufMetadata& metadata);

// The folder's name, with "-nkat" for an adapter, changed to match or not to match "phi-3" as the tokenizer needs.
std::string default_name(const fs::path& model_folder, bool has_adapter, bool strips_after_special);
using data::names_phi3;

}  // namespace nkat::exporting
