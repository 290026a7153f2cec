// Characters that the expressions of Hugging Face's `tokenizers` know and llama.cpp's Unicode tables don't: there they are neither
// letters nor digits nor punctuation. unknown_characters.cpp is a generated table.
#pragma once

#include <span>
#include <utility>

namespace nkat::data {

std::span<const std::pair<char32_t, char32_t>> characters_unknown_to_llama_cpp();  // both ends included, sorted

}  // namespace nkat::data
