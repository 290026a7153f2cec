// The steps around the model in tokenizer.json: normalizer, pre_tokenizer, post_processor, decoder.
#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

#include "data/text/tokenizer_model.h"

namespace nkat::data {

// The file's object with these keys; what they decide is written into the model, whose `source` and, for byte_fallback,
// `kind` are set. FormatError "source: normalizer: ..." for a step that is not known.
void read_tokenizer_steps(const nlohmann::json& file, TokenizerModel& model);

}  // namespace nkat::data
