// The vocabulary of a GGUF file, as llama.cpp's own converter builds it from a folder (data/FORMATS.md 5.2).
//
//   every id below vocab_size   "[PADi]", score -10000, UNUSED
//   byte fallback               pieces with U+2581, score and type; of tokenizer.json alone the score is minus the rank of the
//                               first merge that makes the piece
//   byte level                  pieces in GPT-2's alphabet, NORMAL, without scores; merges; the pre-tokenizer's name
//   added tokens                their text, score -1000, CONTROL if special, else USER_DEFINED
//
// Refused with a FormatError that names the token: a duplicate text (llama.cpp aborts on it), an id beyond
// vocab_size, a Phi-3 table without one of the four tokens that llama.cpp's phi-3 rules look up.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/files/file.h"
#include "models/config.h"

namespace nkat::exporting {

struct Vocabulary {
  std::string model = "llama";  // tokenizer.ggml.model: llama (byte fallback) or gpt2 (byte level)
  std::string pre = "default";
  std::vector<std::string> texts;
  std::vector<float> scores;        // gpt2: none
  std::vector<std::int32_t> types;  // data::PieceType
  std::vector<std::string> merges;  // gpt2: "left right"
  std::optional<std::uint32_t> begin;
  std::optional<std::uint32_t> end;
  std::optional<std::uint32_t> unknown;
  std::optional<std::uint32_t> padding;
  std::optional<std::uint32_t> end_of_turn;  // <|end|>
  // Of further ids that are written, by their keys: {"cls_token_id", 5}.
  std::vector<std::pair<std::string, std::uint32_t>> further_ids;
  // add_bos_token, add_eos_token, add_sep_token, add_space_prefix, as far as they are written.
  std::vector<std::pair<std::string, bool>> flags;
  // Do special tokens swallow the white space after them? llama.cpp decides it for all of them by general.name.
  bool strips_after_special = false;
  // Special tokens whose own rule differs from what llama.cpp then does, as texts.
  std::vector<std::string> stripped_otherwise;
  // Kinds of texts that llama.cpp cuts into other tokens than the folder's tokenizer does, in words (data/FORMATS.md 5.2.3).
  std::vector<std::string> cut_otherwise;
};

Vocabulary read_vocabulary(const fs::path& model_folder, const models::ModelConfig& config);

}  // namespace nkat::exporting
