// The metadata of a phi3 GGUF file, every key with the type that llama.cpp insists on (formats.md 5.1), and ours.
//
// phi3.rope.scaling.factor is never written: llama.cpp would divide all positions by it. The file's name carries a
// meaning: llama.cpp swallows white space after role tags only where general.name holds "phi-3" or "phi3".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/formats/gguf_metadata.h"
#include "export/gguf/quantization_recipe.h"
#include "export/gguf/token_table.h"
#include "export/imatrix/importance.h"
#include "models/config.h"

namespace nkat::exporting {

// In every file that `nkat export` writes.
inline constexpr const char* kVersionKey = "nkat.version";

// What the nkat.* keys tell about where a file comes from.
struct Provenance {
  std::string base_sha256;          // empty: not known
  std::string adapter_sha256 = "";  // of adapter_model.safetensors; empty: the base alone was exported
  std::uint32_t first_layer = 0;
  std::vector<float> gates = {};                     // σ(α), from first_layer up
  std::optional<std::uint32_t> step = std::nullopt;  // of the training run, where the adapter lies in a checkpoint
  std::string trained_on = "";                       // the base's hash that the adapter names
  bool has_adapter() const { return !adapter_sha256.empty(); }
};

struct ModelText {
  std::string name;
  std::string chat_template;
};

gguf::GgufMetadata phi3_metadata(const models::Phi3Config& config, const Vocabulary& vocabulary, const ModelText& text,
                                 QuantizationRecipe recipe, std::uint32_t context_length);
// nkat.importance.*, if anything was weighed.
void add_importance(const Importance& importance, gguf::GgufMetadata& metadata);
void add_provenance(const Provenance& provenance, gguf::GgufMetadata& metadata);

// The folder's name and "-nkat" if an adapter is in it, made to match or not to match "phi-3" as the tokenizer needs.
std::string default_name(const fs::path& model_folder, bool has_adapter, bool strips_after_special);
// Does llama.cpp take the name for a Phi-3's?
bool names_phi3(const std::string& name);

}  // namespace nkat::exporting
