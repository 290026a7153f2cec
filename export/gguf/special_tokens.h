// Which tokens of a folder have a purpose, and which stand around a text: the keys that llama.cpp's own converter writes
// from tokenizer.json's post_processor, tokenizer_config.json and config.json (SpecialVocab of the gguf package; data/FORMATS.md
// 5.2.2).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "core/files/file.h"

namespace nkat::exporting {

struct SpecialTokens {
  // By purpose as tokenizer_config.json spells it: bos, eos, unk, sep, pad, cls, mask, eot, eom.
  std::map<std::string, std::uint32_t> ids;
  std::map<std::string, bool> added;  // bos, eos, sep: does it stand around a text?
  std::optional<bool> prefix_space;   // add_prefix_space of tokenizer_config.json
};

// vocab_size: ids from there on are left out.
SpecialTokens read_special_tokens(const fs::path& model_folder, std::int64_t vocab_size);

}  // namespace nkat::exporting
