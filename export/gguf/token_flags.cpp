#include "export/gguf/token_flags.h"

#include <algorithm>
#include <iterator>

#include <nlohmann/json.hpp>

#include "core/json.h"
#include "data/text/tokenizer_files.h"

namespace nkat::exporting {
namespace {

// After which llama.cpp never strips.
bool is_exempt(const std::string& text) {
  return std::ranges::find(std::begin(kLookedUp) + 1, std::end(kLookedUp), text) != std::end(kLookedUp);
}

}  // namespace

TokenFlags compare_flags(const std::vector<data::AddedToken>& added, bool normalizes, bool can_strip) {
  TokenFlags flags;
  flags.strips_after_special = can_strip && std::ranges::any_of(added, [](const data::AddedToken& token) {
                                 return token.special && token.strip_right && !is_exempt(token.content);
                               });
  for (const data::AddedToken& token : added) {
    const bool stripped = flags.strips_after_special && !is_exempt(token.content);
    if (token.strip_left || token.strip_right != stripped) flags.stripped_otherwise.push_back(token.content);
    if (normalizes && token.normalized) flags.matched_otherwise.push_back(token.content);
  }
  return flags;
}

bool has_normalizer(const fs::path& model_folder) {
  const fs::path path = model_folder / "tokenizer.json";
  if (!fs::exists(path)) return true;
  const nlohmann::json json =
      parse_large_json(read_file(path, data::kTokenizerFileLimit), path.string(), {"normalizer"});
  return json.is_object() && json.contains("normalizer") && !json["normalizer"].is_null();
}

}  // namespace nkat::exporting
