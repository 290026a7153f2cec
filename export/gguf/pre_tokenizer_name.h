// tokenizer.ggml.pre of a byte-level tokenizer, found as llama.cpp's own converter finds it: by the hash of the ids of its check
// text (data/text/llama_cpp/known_hashes.h). A hash that it doesn't know takes the name whose tokenizer.json has equal
// expressions; where none has, the export is refused (FormatError), since llama.cpp would cut every text otherwise.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "data/text/tokenizer_model.h"

namespace nkat::exporting {

// check_ids: of data::pre_tokenizer_check_text(), with the tokens around a text.
std::string pre_tokenizer_name(const data::TokenizerModel& model, std::span<const std::int32_t> check_ids);

// The name by the expressions alone; empty if none is equal.
std::string name_by_expressions(const data::TokenizerModel& model);

}  // namespace nkat::exporting
