// How llama.cpp's converter finds the name of a byte-level tokenizer's pre-tokenizer: the SHA-256 of the ids that it gives a check
// text, with the tokens around a text, written as Python prints a list ("[1, 2]"). known_hashes.cpp is a generated table.
#pragma once

#include <span>
#include <string_view>

namespace nkat::data {

struct KnownHash {
  std::string_view sha256;
  std::string_view name;  // of tokenizer.ggml.pre
};

std::string_view pre_tokenizer_check_text();
std::span<const KnownHash> known_hashes();  // sorted by hash, each once

}  // namespace nkat::data
