// Kinds of texts that llama.cpp cuts into other tokens than a tokenizer, however exactly the file holds its vocabulary
// (data/FORMATS.md 5.2.3 has an example of each). What special tokens do to white space is told apart by token_table.h.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "data/text/tokenizer_model.h"

namespace nkat::exporting {

// pre: the name that the file gives in tokenizer.ggml.pre. Each kind in words, as a part of a sentence.
std::vector<std::string> cut_otherwise(const data::TokenizerModel& model, std::string_view pre);

// Can the merges be told by one score a piece? They can if all ways to make a piece of two are merges, and those of one piece
// follow each other in rank.
bool merges_have_scores(const data::TokenizerModel& model);

}  // namespace nkat::exporting
