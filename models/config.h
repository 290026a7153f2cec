// The config.json (and generation_config.json) of a model folder of a known family, checked and in one spelling.
//
// Accepts every spelling of Hugging Face's releases: `rope_scaling` or `rope_parameters`, `type` or `rope_type`, of
// Phi-3 "su", "yarn" or "longrope", rope values at the top level or inside that object, `torch_dtype` or `dtype` (which
// wins), end tokens as a number or a list, key-value heads that are null. Other contradicting spellings are refused, and
// by name what is not computed here: other families, experts, yarn and dynamic scaling, windows in some layers only.
// A tied model whose folder stores another head all the same counts as untied, with a warning.
// DataError if config.json can't be read; FormatError naming file and key.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "layers/rope_scaling.h"
#include "models/family.h"

namespace nkat::models {

struct ModelConfig {
  Family family = Family::kPhi3;
  std::int64_t hidden_size = 0;
  std::int64_t intermediate_size = 0;
  std::int64_t num_layers = 0;
  std::int64_t num_heads = 0;
  std::int64_t num_key_value_heads = 0;  // divides num_heads
  std::int64_t head_dim = 0;
  std::int64_t rotary_dim = 0;  // even; the leading channels of a head that rotate
  std::int64_t vocab_size = 0;
  double rms_norm_eps = 0;
  double rope_theta = 0;
  std::int64_t max_position_embeddings = 0;
  std::int64_t original_max_position_embeddings = 0;  // longer samples use long_factor
  std::optional<std::int64_t> sliding_window;         // keys a query sees, itself included
  // longrope's factors, rotary_dim / 2 each. short_factor alone divides the frequencies of every length; both empty:
  // none.
  std::vector<double> short_factor;
  std::vector<double> long_factor;
  double attention_factor = 1;  // multiplies cos and sin
  layers::RopeScaling rope_scaling = {};
  bool qkv_bias = false;
  bool output_bias = false;  // of o_proj
  bool mlp_bias = false;     // of gate, up and down
  bool head_norms = false;   // RMS norms of each query and key head, before they rotate
  bool tie_word_embeddings = false;
  std::vector<std::int64_t> end_tokens;  // of both files, ascending
  std::optional<std::int64_t> bos_token;
  std::optional<std::int64_t> pad_token;
  std::string stored_dtype;       // "bfloat16"; empty if the file doesn't say
  bool explicit_head_dim = false;  // config.json names head_dim; the keys of a GGUF file follow

  // Rows of qkv_proj: all query heads, then all key heads, then all value heads.
  std::int64_t qkv_rows() const { return (num_heads + 2 * num_key_value_heads) * head_dim; }
};

ModelConfig read_model_config(const std::filesystem::path& model_folder);

}  // namespace nkat::models
