// The sizes of Phi-3.5-mini, for arithmetic that needs no weights.
#pragma once

#include "models/config.h"

namespace nkat::testing {

inline models::ModelConfig phi35() {
  models::ModelConfig config;
  config.hidden_size = 3072;
  config.intermediate_size = 8192;
  config.num_layers = 32;
  config.num_heads = config.num_key_value_heads = 32;
  config.head_dim = 96;
  config.vocab_size = 32064;
  config.max_position_embeddings = 131072;
  return config;
}

}  // namespace nkat::testing
