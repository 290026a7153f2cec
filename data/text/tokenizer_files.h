// The tokenizer of a model folder, as transformers finds it, or of a GGUF file (gguf_vocabulary.h).
//
//   tokenizer.json         counts where it is (tokenizer_json.h)
//   tokenizer.model        counts without it (sentencepiece_model.h): U+2581 in front and for each space, as Llama's
//   tokenizer_config.json  added tokens where neither says them; and with the class LlamaTokenizer, whose post-processor is
//                          not that of tokenizer.json, add_bos_token (true where absent) and add_eos_token
//
// Where both files are there, tokenizer.model only gives a warning: if it can't be read, or if it cuts one of 200 texts
// otherwise.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/files/file.h"
#include "data/text/tokenizer_model.h"

namespace nkat::data {

// Bytes of the largest tokenizer file that is read; those of today have 2 to 20 MB.
inline constexpr std::uint64_t kTokenizerFileLimit = 64 << 20;

class Tokenizer;

// A folder or a GGUF file. DataError for a folder with neither file; FormatError for one that is broken or of another kind.
TokenizerModel read_tokenizer_model(const fs::path& model_path);

// Texts that show where two tokenizers differ: words, spaces, digits, marks, code and some twenty languages.
std::vector<std::string> tokenizer_check_texts();

// The first of them that two tokenizers cut otherwise, with added tokens as plain text.
struct OtherCut {
  std::string text;
  std::vector<std::int32_t> left, right;
};
std::optional<OtherCut> find_other_cut(const Tokenizer& left, const Tokenizer& right);

}  // namespace nkat::data
