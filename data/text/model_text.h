// The texts of a model as --model-path names it, besides its tokenizer (tokenizer_files.h): from the files of a folder in
// Hugging Face format, or from the keys of a GGUF file (of a split one its first part).
//
// Errors: those of ChatTemplate for a folder, of GgufFile::with_all_parts and read_gguf_vocabulary for a file.
#pragma once

#include <string>

#include "core/files/file.h"
#include "data/text/chat_template.h"
#include "data/text/tokenizer_model.h"

namespace nkat::data {

// What --model-path takes, for its help.
inline constexpr const char* kModelPathHelp = "model folder in Hugging Face format, or a GGUF file";
inline constexpr const char* kModelPathMetavar = "PATH";

// A file without a template gets Phi-3.5's, as a folder does, and the log says so.
ChatTemplate open_chat_template(const fs::path& model);

// Of a GGUF file, for writers of other formats: its tokenizer, the texts of its special tokens by their names in
// tokenizer_config.json ("bos_token"), and its template, empty where it has none.
struct GgufText {
  TokenizerModel tokenizer;
  SpecialTokens special_tokens;
  std::string chat_template;
};
GgufText read_gguf_text(const fs::path& file);

}  // namespace nkat::data
