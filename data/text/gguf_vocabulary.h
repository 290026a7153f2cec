// A tokenizer from the keys of a GGUF file: its ids are llama.cpp's (llama-vocab.cpp; data/FORMATS.md 2.4).
//
//   tokenizer.ggml.model        llama (byte fallback, merged by score) or gpt2 (byte level); others are refused by name
//   tokenizer.ggml.pre          gpt2: a name of llama_cpp/pre_tokenizers.h, others are refused by name; absent: default
//   tokenizer.ggml.tokens       texts, all different; an empty one is called [EMPTY_i]
//   tokenizer.ggml.token_type   i32: NORMAL 1, UNKNOWN 2, CONTROL 3, USER_DEFINED 4, UNUSED 5, BYTE 6; absent: all NORMAL
//   tokenizer.ggml.scores       f32 or i32; absent: 0
//   tokenizer.ggml.merges       gpt2: "left right" in rank order
//   tokenizer.ggml.bos_token_id, eos_token_id, add_bos_token, add_eos_token, add_space_prefix
//   general.name                one with "phi-3" or "phi3": white space behind special tokens is swallowed
//
// A FormatError names key and token: texts that are not UTF-8 or twice there, lists of different lengths, merges of pieces
// that are not there, a llama vocabulary without a byte, a begin token to be added that is no id.
#pragma once

#include <string>

#include "data/formats/gguf_metadata.h"
#include "data/text/tokenizer_model.h"

namespace nkat::data {

// source: the file's name, for messages.
TokenizerModel read_gguf_vocabulary(const gguf::GgufMetadata& metadata, const std::string& source);

// Does llama.cpp take the model of this general.name for a Phi-3? Then it swallows white space behind special tokens.
bool names_phi3(const std::string& name);

}  // namespace nkat::data
