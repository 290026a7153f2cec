#include "data/text/tokenizer_model.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/error.h"
#include "core/files/sha256.h"
#include "core/utf8.h"

namespace nkat::data {
namespace {

std::string text_of(const TokenizerModel& model, std::int32_t id) {
  const auto added = std::ranges::lower_bound(model.added_tokens, id, {}, &AddedToken::id);
  if (added != model.added_tokens.end() && added->id == id) return added->content;
  const auto place = static_cast<std::size_t>(id);
  return place < model.pieces.size() ? model.pieces[place].text : "";
}

std::string hash_of_fields(const TokenizerModel& model) {
  Sha256 hash;
  for (const AddedToken& token : model.added_tokens) {
    hash.update(fmt::format("{} {} {}{}{}{}{} {}\n", token.id, token.content.size(), token.special, token.strip_left,
                            token.strip_right, token.normalized, token.single_word ? "true" : "", token.content));
  }
  if (model.merges_by_score) {
    // As sentencepiece stores it, which was the only form once: runs resume by this hash.
    hash.update(serialize_sentencepiece_model(model.pieces));
    return hash.hex();
  }
  hash.update(fmt::format("{} {} {} {} {} {}\n", static_cast<int>(model.kind), model.ignore_merges, model.nfc,
                          static_cast<int>(model.spaces.prefix), model.spaces.metaspace, model.spaces.split));
  for (const Piece& piece : model.pieces)
    hash.update(fmt::format("{} {} {}\n", static_cast<int>(piece.type), piece.text.size(), piece.text));
  for (const Merge& merge : model.merges) hash.update(fmt::format("{} {}\n", merge.left, merge.right));
  for (const SplitStep& step : model.split_steps) {
    hash.update(fmt::format("{} {} {} {} {}\n", step.keep_matches, step.keep_gaps, step.prefix_space,
                            step.expression.size(), step.expression));
  }
  return hash.hex();
}

}  // namespace

std::string tokenizer_identity(const TokenizerModel& model) {
  const std::string fields = model.sha256.empty() ? hash_of_fields(model) : model.sha256;
  if (model.begin_tokens.empty() && model.end_tokens.empty()) return fields;
  return sha256_hex(
      fmt::format("{} {} | {}", fields, fmt::join(model.begin_tokens, " "), fmt::join(model.end_tokens, " ")));
}

void check_added_tokens(const TokenizerModel& model) {
  for (const AddedToken& token : model.added_tokens) {
    const auto id = static_cast<std::size_t>(token.id);
    if (id < model.pieces.size() && !model.pieces[id].text.empty() && model.pieces[id].text != token.content) {
      throw FormatError(fmt::format("{}: added token '{}' has id {}, which {} gives to '{}'", model.source,
                                    ellipsize(token.content), id, fs::path(model.source).filename().string(),
                                    ellipsize(model.pieces[id].text)));
    }
  }
  for (const auto& ids : {model.begin_tokens, model.end_tokens}) {
    for (const std::int32_t id : ids) {
      if (text_of(model, id).empty())
        throw FormatError(
            fmt::format("{}: the post-processor puts id {} around a text, which has no token", model.source, id));
    }
  }
}

}  // namespace nkat::data
