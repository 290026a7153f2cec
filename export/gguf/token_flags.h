// Which flags of added tokens llama.cpp treats otherwise than the tokenizer (data/FORMATS.md 5.2). A GGUF file has no place
// for them; src/llama-vocab.cpp decides for all tokens alike:
//
//   lstrip        white space before a token stays, always
//   rstrip        white space after a token is swallowed if general.name has "phi-3" or "phi3" in it, but not after <unk>, <s>
//                 and <|endoftext|>; else it stays
//   normalized    a token is found in the text as it is, always: where the tokenizer's normalizer puts U+2581 in front of it,
//                 llama.cpp finds it inside a word, too
#pragma once

#include <string>
#include <vector>

#include "data/text/added_tokens.h"

namespace nkat::exporting {

// With a phi-3 name llama.cpp looks these up without asking whether they are there.
inline constexpr const char* kLookedUp[] = {"</s>", "<unk>", "<s>", "<|endoftext|>"};

struct TokenFlags {
  // Should llama.cpp swallow white space after added tokens, that is, should general.name be a Phi-3's?
  bool strips_after_special = false;
  // Texts of tokens around which llama.cpp then keeps or swallows white space otherwise.
  std::vector<std::string> stripped_otherwise;
  // Texts of tokens that llama.cpp finds in other places.
  std::vector<std::string> matched_otherwise;
};
// normalizes: whether the tokenizer changes a text before it looks for tokens with `normalized`. can_strip: whether the file's
// kind of vocabulary follows general.name at all.
TokenFlags compare_flags(const std::vector<data::AddedToken>& added, bool normalizes, bool can_strip = true);

// By tokenizer.json; without one as the tokenizer that transformers makes of tokenizer.model does: true.
bool has_normalizer(const fs::path& model_folder);

}  // namespace nkat::exporting
