// A tokenizer as the files that transformers loads, for models without a folder of their own: tokenizer.json (a BPE model
// of the `tokenizers` library) and tokenizer_config.json. Ids are those of data/text/tokenizer_model.h.
//
// Pieces whose merges stand in scores become merges in the order in which scores join them, as transformers converts
// tokenizer.model: of each piece every cut into two pieces, highest score first, of equal ones the longer left part.
#pragma once

#include <optional>
#include <string>

#include "data/text/tokenizer_model.h"

namespace nkat::exporting {

std::string tokenizer_json(const data::TokenizerModel& model);

// Texts of tokens, as tokenizer_config.json names them.
struct NamedTokens {
  std::optional<std::string> begin = {}, end = {}, unknown = {}, padding = {};
};
std::string tokenizer_config_json(const data::TokenizerModel& model, const NamedTokens& tokens,
                                  const std::string& chat_template);

}  // namespace nkat::exporting
