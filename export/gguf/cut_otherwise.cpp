#include "export/gguf/cut_otherwise.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include <fmt/format.h>

#include "data/text/llama_cpp/pre_tokenizers.h"
#include "data/text/words/byte_alphabet.h"

namespace nkat::exporting {
namespace {

using data::AddedToken;
using data::SpaceRule;
using data::TokenizerModel;

bool holds(const TokenizerModel& model, std::string_view part) {
  return std::ranges::any_of(
      model.split_steps, [&](const data::SplitStep& step) { return step.expression.find(part) != std::string::npos; });
}

bool lacks_bytes(const TokenizerModel& model) {
  std::unordered_set<std::string_view> texts;
  for (const data::Piece& piece : model.pieces) texts.insert(piece.text);
  return !std::ranges::all_of(data::byte_alphabet(), [&](const std::string& byte) { return texts.contains(byte); });
}

// Does one end as another one begins?
bool can_overlap(const std::vector<AddedToken>& tokens) {
  std::unordered_set<std::string_view> ends;
  for (const AddedToken& token : tokens) {
    for (std::size_t i = 1; i < token.content.size(); ++i) ends.insert(std::string_view(token.content).substr(i));
  }
  return std::ranges::any_of(tokens, [&](const AddedToken& token) {
    for (std::size_t i = 1; i < token.content.size(); ++i) {
      if (ends.contains(std::string_view(token.content).substr(0, i))) return true;
    }
    return false;
  });
}

void name_added_tokens(const TokenizerModel& model, std::vector<std::string>& kinds) {
  if (std::ranges::any_of(model.added_tokens, &AddedToken::single_word))
    kinds.emplace_back("added tokens that count as whole words only (single_word)");
  if ((model.nfc || model.kind == data::VocabularyKind::kByteFallback) &&
      std::ranges::any_of(model.added_tokens, &AddedToken::normalized))
    kinds.emplace_back("added tokens that are looked for in the normalized text");
  if (can_overlap(model.added_tokens)) kinds.emplace_back("added tokens that overlap");
}

void name_byte_level(const TokenizerModel& model, std::string_view pre, std::vector<std::string>& kinds) {
  kinds.emplace_back("characters that Unicode 16 added");
  if (lacks_bytes(model)) kinds.emplace_back("characters of whose bytes some are no piece");
  if (holds(model, R"(\p{Lu})")) kinds.emplace_back("capitals, small letters and combining marks beyond ASCII");
  if (holds(model, "(?i:")) kinds.emplace_back("an apostrophe before U+017F");
  if (holds(model, "\u0800-\u4E00")) kinds.emplace_back("white space beyond ASCII beside ideographs");
  const data::PreTokenizer* known = data::find_pre_tokenizer(pre);
  if (known != nullptr && known->ignore_merges != model.ignore_merges)
    kinds.emplace_back("words that are a piece but that no merges make");
}

void name_byte_fallback(const TokenizerModel& model, std::vector<std::string>& kinds) {
  const SpaceRule& spaces = model.spaces;
  if (spaces.prefix == SpaceRule::Prefix::kFirst) kinds.emplace_back("text behind an added token");
  if (spaces.metaspace && spaces.prefix != SpaceRule::Prefix::kNever)
    kinds.emplace_back("text that begins with a space");
  if (spaces.metaspace && spaces.split) kinds.emplace_back("several spaces in a row");
  if (!merges_have_scores(model)) kinds.emplace_back("words whose merges no score puts into this order");
}

}  // namespace

bool merges_have_scores(const TokenizerModel& model) {
  if (model.merges_by_score) return true;
  std::unordered_map<std::string_view, std::int32_t> ids;
  for (std::size_t id = 0; id < model.pieces.size(); ++id)
    ids.emplace(model.pieces[id].text, static_cast<std::int32_t>(id));
  // Of each piece how many merges make it; 0 once another one's follow.
  std::unordered_map<std::int32_t, std::size_t> ways;
  std::int32_t last = -1;
  for (const data::Merge& merge : model.merges) {
    const std::string text = model.pieces[static_cast<std::size_t>(merge.left)].text +
                             model.pieces[static_cast<std::size_t>(merge.right)].text;
    const auto made = ids.find(text);
    if (made == ids.end()) return false;
    if (made->second != last && ways.contains(made->second)) return false;
    last = made->second;
    ++ways[last];
  }
  return std::ranges::all_of(ways, [&](const auto& one) {
    const std::string_view text = model.pieces[static_cast<std::size_t>(one.first)].text;
    std::size_t possible = 0;
    for (std::size_t i = 1; i < text.size(); ++i)
      possible += ids.contains(text.substr(0, i)) && ids.contains(text.substr(i)) ? 1 : 0;
    return possible == one.second;
  });
}

std::vector<std::string> cut_otherwise(const TokenizerModel& model, std::string_view pre) {
  std::vector<std::string> kinds;
  if (model.nfc) kinds.emplace_back("text that is not in Unicode's normalization form C");
  if (model.kind == data::VocabularyKind::kByteLevel) {
    name_byte_level(model, pre, kinds);
  } else {
    name_byte_fallback(model, kinds);
  }
  name_added_tokens(model, kinds);
  return kinds;
}

}  // namespace nkat::exporting
