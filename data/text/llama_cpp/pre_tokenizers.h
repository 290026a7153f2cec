// llama.cpp's pre-tokenizers: how it cuts a text into words before the merges of a byte-level vocabulary (llama-vocab.cpp), by
// the name that a GGUF gives in tokenizer.ggml.pre.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/text/tokenizer_model.h"

namespace nkat::data {

struct PreTokenizer {
  std::string_view name;
  std::vector<std::string_view> expressions;
  bool ignore_merges = false;
  bool add_begin_token = false;  // where tokenizer.ggml.add_bos_token is absent
};

// Those that are read from a GGUF.
std::span<const PreTokenizer> pre_tokenizers();
const PreTokenizer* find_pre_tokenizer(std::string_view name);  // nullptr if there is none

// Its expressions with llama.cpp's classes: \p{..} without the characters that its tables don't know.
std::vector<SplitStep> split_steps(const PreTokenizer& pre_tokenizer);

}  // namespace nkat::data
