#include "data/text/gguf_vocabulary.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/error.h"
#include "core/message.h"
#include "core/utf8.h"
#include "data/text/llama_cpp/pre_tokenizers.h"

namespace nkat::data {
namespace {

using gguf::GgufMetadata;
using gguf::GgufValue;

constexpr std::uint64_t kMostTokens = 1 << 19;
constexpr std::uint64_t kMostMerges = 1 << 22;
// llama.cpp takes tokens of these texts for control tokens, whatever their type says: they end an answer.
constexpr std::array<std::string_view, 22> kEndTexts = {"<|eot_id|>",
                                                        "<|im_end|>",
                                                        "<|end|>",
                                                        "<|return|>",
                                                        "<|call|>",
                                                        "<|flush|>",
                                                        "<|calls|>",
                                                        "<end_of_turn>",
                                                        "<|endoftext|>",
                                                        "</s>",
                                                        "<|eom_id|>",
                                                        "<EOT>",
                                                        "_<EOT>",
                                                        "[EOT]",
                                                        "[EOS]",
                                                        "<|end_of_text|>",
                                                        "<end_of_utterance>",
                                                        "<eos>",
                                                        "<turn|>",
                                                        "<|tool_response>",
                                                        "<\uFF5Cend\u2581of\u2581sentence\uFF5C>",
                                                        "[e~["};
// And of these, unless a key names another one for the purpose: they mark a gap in code.
struct GapTexts {
  std::vector<const char*> keys;
  std::vector<std::string_view> texts;
};
const std::vector<GapTexts>& gap_texts() {
  static const std::vector<GapTexts> rows = {
      {{"fim_pre", "prefix"},
       {"<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<\uFF5Cfim\u2581begin\uFF5C>", "<PRE>", "\u2581<PRE>",
        "<|code_prefix|>", "<|prefix|>"}},
      {{"fim_suf", "suffix"},
       {"<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<\uFF5Cfim\u2581hole\uFF5C>", "<SUF>", "\u2581<SUF>",
        "<|code_suffix|>", "<|suffix|>"}},
      {{"fim_mid", "middle"},
       {"<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<\uFF5Cfim\u2581end\uFF5C>", "<MID>", "\u2581<MID>",
        "<|code_middle|>", "<|middle|>"}},
      {{"fim_pad"}, {"<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"}},
      {{"fim_rep"}, {"<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"}},
      {{"fim_sep"}, {"<|file_sep|>"}},
  };
  return rows;
}
// It looks for these in a text as if their type were USER_DEFINED.
constexpr std::array<std::string_view, 4> kChannelTexts = {"<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"};
// With a phi-3 name white space behind any of its special tokens is swallowed, but not behind these.
constexpr std::array<std::string_view, 3> kKeptBehind = {"<unk>", "<s>", "<|endoftext|>"};

std::string key_of(std::string_view name) { return fmt::format("tokenizer.ggml.{}", name); }

class Reader {
 public:
  Reader(const GgufMetadata& metadata, const std::string& source) : metadata_(metadata), source_(source) {}

  TokenizerModel read() {
    model_.source = source_;
    const std::string kind = metadata_.string(key_of("model"));
    if (kind != "llama" && kind != "gpt2") {
      fail("model", expected("llama or gpt2", fmt::format("'{}'", ellipsize(kind)),
                             "vocabularies of other kinds can't be used; take the model's folder"));
    }
    model_.kind = kind == "llama" ? VocabularyKind::kByteFallback : VocabularyKind::kByteLevel;
    read_pieces();
    if (kind == "llama") {
      read_byte_fallback();
    } else {
      read_byte_level();
    }
    mark_control_tokens();
    list_added_tokens();
    read_tokens_around();
    return std::move(model_);
  }

 private:
  [[noreturn]] void fail(std::string_view name, const std::string& what) const {
    throw FormatError(fmt::format("{}: metadata key '{}': {}", source_, key_of(name), what));
  }
  [[noreturn]] void fail_at(std::size_t id, const std::string& what) const {
    fail("tokens", fmt::format("token {} '{}': {}", id, ellipsize(model_.pieces[id].text), what));
  }
  std::optional<std::int32_t> find(std::string_view text) const {
    const auto found = ids_.find(std::string(text));
    return found == ids_.end() ? std::nullopt : std::optional(found->second);
  }

  void read_pieces() {
    std::vector<std::string> texts = metadata_.strings(key_of("tokens"), kMostTokens);
    if (texts.empty()) fail("tokens", expected("at least one", "an empty list"));
    const std::vector<std::int32_t> types = numbers<std::int32_t>("token_type", texts.size(), 1);
    const std::vector<float> scores = read_scores(texts.size());
    for (std::size_t id = 0; id < texts.size(); ++id) {
      // llama.cpp merges UNUSED tokens as well, and a byte is spelled by a token's text (read_byte_fallback).
      const bool is_known = types[id] >= 1 && types[id] < static_cast<std::int32_t>(PieceType::kUnused);
      const std::string text = texts[id].empty() ? fmt::format("[EMPTY_{}]", id) : std::move(texts[id]);
      model_.pieces.push_back({text, scores[id], is_known ? static_cast<PieceType>(types[id]) : PieceType::kNormal});
      if (find_invalid_utf8(text) != std::string::npos || text.find('\0') != std::string::npos)
        fail("tokens", fmt::format("token {} is not UTF-8 text", id));
      const auto [place, is_new] = ids_.emplace(text, static_cast<std::int32_t>(id));
      if (!is_new)
        fail_at(id, fmt::format("token {} has the same text; llama.cpp needs different ones", place->second));
    }
  }
  template <class T>
  std::vector<T> numbers(std::string_view name, std::size_t count, T otherwise) const {
    if (metadata_.find(key_of(name)) == nullptr) return std::vector<T>(count, otherwise);
    std::vector<T> all = metadata_.numbers<T>(key_of(name));
    if (all.size() != count)
      fail(name, expected(fmt::format("{} numbers, one a token", count), std::to_string(all.size())));
    return all;
  }
  std::vector<float> read_scores(std::size_t count) const {
    const GgufValue* value = metadata_.find(key_of("scores"));
    if (value != nullptr && value->is_array_of<std::int32_t>()) {
      const auto whole = numbers<std::int32_t>("scores", count, 0);
      return {whole.begin(), whole.end()};
    }
    std::vector<float> scores = numbers<float>("scores", count, 0);
    if (!std::ranges::all_of(scores, [](float score) { return std::isfinite(score); }))
      fail("scores", "a score is not finite");
    return scores;
  }

  void read_byte_fallback() {
    model_.merges_by_score = true;
    const bool has_prefix = metadata_.number_or<bool>(key_of("add_space_prefix"), true);
    model_.spaces = {.prefix = has_prefix ? SpaceRule::Prefix::kAlways : SpaceRule::Prefix::kNever};
    model_.strip_leading_space = has_prefix;
    for (int byte = 0; byte < 256; ++byte) {
      const std::string text = fmt::format("<0x{:02X}>", byte);
      const std::optional<std::int32_t> id = find(text);
      if (!id) fail("tokens", fmt::format("the token '{}' is missing, which spells a byte", text));
      model_.pieces[static_cast<std::size_t>(*id)].type = PieceType::kByte;
    }
  }

  void read_byte_level() {
    const std::string name = metadata_.find(key_of("pre")) == nullptr ? "default" : metadata_.string(key_of("pre"));
    const PreTokenizer* pre_tokenizer = find_pre_tokenizer(name);
    if (pre_tokenizer == nullptr) {
      std::vector<std::string_view> known;
      for (const PreTokenizer& one : pre_tokenizers()) known.push_back(one.name);
      fail("pre", expected(fmt::format("{}", fmt::join(known, ", ")), fmt::format("'{}'", ellipsize(name)),
                           "take the model's folder, whose tokenizer.json says how texts are cut"));
    }
    model_.split_steps = split_steps(*pre_tokenizer);
    model_.ignore_merges = pre_tokenizer->ignore_merges;
    adds_begin_ = pre_tokenizer->add_begin_token;
    model_.strip_leading_space = false;
    const std::vector<std::string> merges =
        metadata_.strings(key_of("merges"), kMostMerges, 2 * gguf::kLongestTokenText);
    for (std::size_t rank = 0; rank < merges.size(); ++rank) add_merge(rank, merges[rank]);
  }
  // "left right", where the left part may begin with a space.
  void add_merge(std::size_t rank, const std::string& merge) {
    const std::size_t space = merge.find(' ', 1);
    const std::string_view left = std::string_view(merge).substr(0, space);
    const std::string_view right = space == std::string::npos ? "" : std::string_view(merge).substr(space + 1);
    const auto left_id = find(left), right_id = find(right);
    if (!left_id || !right_id || !find(fmt::format("{}{}", left, right))) {
      fail("merges", fmt::format("number {}: {}", rank,
                                 expected("two tokens that make a third one", fmt::format("'{}'", ellipsize(merge)))));
    }
    const std::uint64_t pair = static_cast<std::uint64_t>(*left_id) << 32 | static_cast<std::uint32_t>(*right_id);
    if (merged_.insert(pair).second) model_.merges.push_back({*left_id, *right_id});
  }

  void mark_control_tokens() {
    const auto mark = [&](std::string_view text, PieceType type) {
      if (const auto id = find(text)) model_.pieces[static_cast<std::size_t>(*id)].type = type;
    };
    for (const std::string_view text : kEndTexts) mark(text, PieceType::kControl);
    for (const GapTexts& row : gap_texts()) {
      const auto is_named = [&](const char* name) {
        return metadata_.find(key_of(fmt::format("{}_token_id", name))) != nullptr;
      };
      if (std::ranges::any_of(row.keys, is_named)) continue;
      for (const std::string_view text : row.texts) mark(text, PieceType::kControl);
    }
    for (const std::string_view text : kChannelTexts) mark(text, PieceType::kUserDefined);
  }

  void list_added_tokens() {
    model_.like_llama_cpp = true;
    const bool is_phi3 = metadata_.find("general.name") != nullptr && names_phi3(metadata_.string("general.name"));
    for (std::size_t id = 0; id < model_.pieces.size(); ++id) {
      const Piece& piece = model_.pieces[id];
      const bool is_special = piece.type == PieceType::kControl || piece.type == PieceType::kUnknown;
      if (!is_special && piece.type != PieceType::kUserDefined) continue;
      model_.added_tokens.push_back(
          {.content = piece.text,
           .id = static_cast<std::int32_t>(id),
           .special = is_special,
           .strip_right = is_phi3 && std::ranges::find(kKeptBehind, piece.text) == kKeptBehind.end()});
    }
  }

  void read_tokens_around() {
    const bool is_llama = model_.kind == VocabularyKind::kByteFallback;
    if (metadata_.number_or<bool>(key_of("add_bos_token"), is_llama || adds_begin_))
      model_.begin_tokens.push_back(special_id("bos", is_llama ? 1 : kDefaultByteLevelId));
    if (metadata_.number_or<bool>(key_of("add_eos_token"), false))
      model_.end_tokens.push_back(special_id("eos", is_llama ? 2 : kDefaultByteLevelId));
  }
  std::int32_t special_id(std::string_view name, std::uint32_t otherwise) const {
    const std::string key = fmt::format("{}_token_id", name);
    const auto id = metadata_.number_or<std::uint32_t>(key_of(key), otherwise);
    if (id >= model_.pieces.size()) {
      fail(key, expected(fmt::format("an id below {}, since add_{}_token asks for it", model_.pieces.size(), name),
                         std::to_string(id)));
    }
    return static_cast<std::int32_t>(id);
  }

  static constexpr std::uint32_t kDefaultByteLevelId = 11;
  const GgufMetadata& metadata_;
  const std::string& source_;
  TokenizerModel model_;
  std::unordered_map<std::string, std::int32_t> ids_;
  std::unordered_set<std::uint64_t> merged_;  // of two merges of one pair the first counts
  bool adds_begin_ = false;
};

}  // namespace

bool names_phi3(const std::string& name) {
  std::string small = name;
  std::ranges::transform(small, small.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return small.find("phi-3") != std::string::npos || small.find("phi3") != std::string::npos;
}

TokenizerModel read_gguf_vocabulary(const GgufMetadata& metadata, const std::string& source) {
  return Reader(metadata, source).read();
}

}  // namespace nkat::data
