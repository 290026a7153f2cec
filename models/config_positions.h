// The part of config.json that says how positions enter: rotary dimension, base, scaling, longest context, window.
#pragma once

#include "models/config.h"
#include "models/config_reader.h"

namespace nkat::models {

// Needs family, heads and layers of `config`. FormatError naming file and key.
void read_positions(const ConfigReader& reader, ModelConfig& config);

}  // namespace nkat::models
