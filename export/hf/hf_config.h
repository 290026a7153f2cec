// config.json and generation_config.json of a model that has none, from what is known of it: the keys that transformers
// needs to compute what models/config.h says. read_model_config of the result gives the same config.
#pragma once

#include <string>

#include "models/config.h"

namespace nkat::exporting {

// dtype: as transformers names it, "float32". where: the model, for messages. FormatError naming what config.json can't
// express: rope factors of a GGUF file that are no longrope's, or an attention factor that doesn't follow from the lengths.
std::string hf_config_json(const models::ModelConfig& config, const std::string& dtype, const std::string& where);
std::string generation_config_json(const models::ModelConfig& config);

}  // namespace nkat::exporting
