// The token table of a GGUF file, as llama.cpp's own converter builds it from a Phi-3 folder (data/FORMATS.md 5.2).
//
//   every id below vocab_size   "[PADi]", score -10000, UNUSED
//   pieces of tokenizer.model   their text (with U+2581), score and type
//   added tokens                their text, score -1000, CONTROL if special, else USER_DEFINED
//
// Refused with a FormatError that names the token: a duplicate text (llama.cpp aborts on it), an id beyond
// vocab_size, a table without one of the four tokens that llama.cpp's phi-3 rules look up.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/files/file.h"
#include "export/gguf/token_flags.h"
#include "models/config.h"

namespace nkat::exporting {

struct Vocabulary {
  std::vector<std::string> texts;
  std::vector<float> scores;
  std::vector<std::int32_t> types;  // data::PieceType
  std::uint32_t begin = 1;
  std::uint32_t end = 2;
  std::optional<std::uint32_t> unknown;
  std::optional<std::uint32_t> padding;
  std::optional<std::uint32_t> end_of_turn;  // <|end|>
  TokenFlags flags;
};

Vocabulary read_vocabulary(const fs::path& model_folder, const models::ModelConfig& config);

}  // namespace nkat::exporting
