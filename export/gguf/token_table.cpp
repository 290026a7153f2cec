#include "export/gguf/token_table.h"

#include <algorithm>
#include <unordered_map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/json.h"
#include "data/text/llama_cpp/known_hashes.h"
#include "data/text/llama_cpp/pre_tokenizers.h"
#include "data/text/sentencepiece_model.h"
#include "data/text/tokenizer.h"
#include "data/text/tokenizer_files.h"
#include "export/gguf/cut_otherwise.h"
#include "export/gguf/pre_tokenizer_name.h"
#include "export/gguf/special_tokens.h"

namespace nkat::exporting {
namespace {

using data::AddedToken;
using data::PieceType;
using data::TokenizerModel;

constexpr float kPadScore = -10000;
constexpr float kAddedScore = -1000;
// The converter writes add_bos_token for llama's architecture with this vocabulary, whatever the tokenizer says.
constexpr std::int64_t kFlaggedVocabulary = 49152;

using Ids = std::unordered_map<std::string, std::uint32_t>;

// What the families' converters do differently.
struct Rules {
  bool phi3 = false;
  bool llama = false;  // Llama and Mistral
};

class Table {
 public:
  Table(const fs::path& folder, std::int64_t vocab_size) : where_(folder.string()) {
    for (std::int64_t id = 0; id < vocab_size; ++id) {
      table_.texts.push_back(fmt::format("[PAD{}]", id));
      table_.scores.push_back(kPadScore);
      table_.types.push_back(static_cast<std::int32_t>(PieceType::kUnused));
    }
  }
  void set(std::size_t id, const std::string& text, float score, PieceType type) {
    if (id >= table_.texts.size()) {
      throw FormatError(
          fmt::format("{}: token '{}' has id {}, config.json says vocab_size {}; the files do not belong "
                      "together",
                      where_, text, id, table_.texts.size()));
    }
    table_.texts[id] = text;
    table_.scores[id] = score;
    table_.types[id] = static_cast<std::int32_t>(type);
  }
  Ids unique_ids() const {
    Ids ids;
    for (std::uint32_t id = 0; id < table_.texts.size(); ++id) {
      const auto [place, is_new] = ids.emplace(table_.texts[id], id);
      if (!is_new) {
        throw FormatError(fmt::format("{}: ids {} and {} both have the text '{}'; llama.cpp needs different ones",
                                      where_, place->second, id, table_.texts[id]));
      }
    }
    return ids;
  }
  Vocabulary& vocabulary() { return table_; }

 private:
  std::string where_;
  Vocabulary table_;
};

// The id of tokenizer_config.json's "eos_token" and the like; nothing if it names none.
class TokenNames {
 public:
  TokenNames(const fs::path& folder, const Ids& ids) : ids_(ids) {
    const fs::path path = folder / "tokenizer_config.json";
    if (fs::exists(path)) {
      config_ = parse_large_json(read_file(path, data::kTokenizerFileLimit), path.string(),
                                 {"bos_token", "eos_token", "unk_token", "pad_token"});
    }
  }
  std::optional<std::uint32_t> find(const char* key) const {
    if (!config_.is_object() || !config_.contains(key)) return std::nullopt;
    nlohmann::json value = config_[key];
    if (value.is_object() && value.contains("content")) value = value["content"];
    return value.is_string() ? id_of(value.get<std::string>()) : std::nullopt;
  }
  std::optional<std::uint32_t> id_of(const std::string& text) const {
    const auto found = ids_.find(text);
    return found == ids_.end() ? std::nullopt : std::optional(found->second);
  }

 private:
  const Ids& ids_;
  nlohmann::json config_;
};

void name_phi3_ids(const fs::path& folder, const models::ModelConfig& config, const Ids& ids, Vocabulary& table) {
  const TokenNames named(folder, ids);
  const auto from_config = [](std::int64_t id) { return static_cast<std::uint32_t>(id); };
  table.begin = named.find("bos_token").value_or(from_config(config.bos_token.value_or(ids.at("<s>"))));
  table.end =
      named.find("eos_token")
          .value_or(config.end_tokens.empty() ? ids.at("<|endoftext|>") : from_config(config.end_tokens.front()));
  table.unknown = named.find("unk_token");
  if (!table.unknown) table.unknown = named.id_of("<unk>");
  table.padding = named.find("pad_token");
  if (!table.padding && config.pad_token) table.padding = from_config(*config.pad_token);
  table.end_of_turn = named.id_of("<|end|>");
}

// The converter takes tokens that look like control tokens for such.
bool looks_special(std::string_view text) {
  const auto is_between = [&](std::string_view begin, std::string_view end) {
    return text.starts_with(begin) && text.ends_with(end);
  };
  return text == "<pad>" || text == "<mask>" || text == "<2mass>" || text == "[@BOS@]" || is_between("<|", "|>") ||
         is_between("<\uFF5C", "\uFF5C>") || is_between("<unused", ">");
}

void set_added(const std::vector<AddedToken>& added, const Rules& rules, Table& table) {
  for (const AddedToken& token : added) {
    const bool is_control = token.special || (!rules.phi3 && looks_special(token.content));
    std::string text = token.content;
    for (std::size_t at; !rules.phi3 && !is_control && (at = text.find("\u2581")) != std::string::npos;)
      text.replace(at, std::string_view("\u2581").size(), 1, ' ');
    table.set(static_cast<std::size_t>(token.id), text, kAddedScore,
              is_control ? PieceType::kControl : PieceType::kUserDefined);
  }
}

// Scores by which llama.cpp merges as the ranks say.
void score_by_merges(const TokenizerModel& model, std::vector<data::Piece>& pieces) {
  std::unordered_map<std::string_view, std::size_t> ids;
  for (std::size_t id = 0; id < model.pieces.size(); ++id) ids.emplace(model.pieces[id].text, id);
  for (std::size_t rank = model.merges.size(); rank-- > 0;) {
    const data::Merge& merge = model.merges[rank];
    const std::string text = model.pieces[static_cast<std::size_t>(merge.left)].text +
                             model.pieces[static_cast<std::size_t>(merge.right)].text;
    if (const auto made = ids.find(text); made != ids.end()) pieces[made->second].score = -static_cast<float>(rank + 1);
  }
}

// USER_DEFINED would make llama.cpp look for the piece before merging, which Hugging Face does for added tokens only.
PieceType type_of(PieceType type) { return type == PieceType::kUserDefined ? PieceType::kNormal : type; }

void set_byte_fallback(const fs::path& folder, const TokenizerModel& model, Table& table) {
  const fs::path file = folder / "tokenizer.model";
  const bool has_file = fs::exists(file);
  std::vector<data::Piece> pieces =
      has_file ? data::parse_sentencepiece_model(read_file(file, data::kTokenizerFileLimit), file.string())
               : model.pieces;
  if (!has_file) score_by_merges(model, pieces);
  for (std::size_t id = 0; id < pieces.size(); ++id) {
    if (!pieces[id].text.empty()) table.set(id, pieces[id].text, pieces[id].score, type_of(pieces[id].type));
  }
}

void set_byte_level(const TokenizerModel& model, Table& table) {
  const data::Tokenizer tokenizer{TokenizerModel(model)};
  std::vector<std::int32_t> ids = model.begin_tokens;
  const std::vector<std::int32_t> inner =
      tokenizer.encode(data::pre_tokenizer_check_text(), data::AddedTokens::kControl);
  ids.insert(ids.end(), inner.begin(), inner.end());
  ids.insert(ids.end(), model.end_tokens.begin(), model.end_tokens.end());
  table.vocabulary().model = "gpt2";
  table.vocabulary().pre = pre_tokenizer_name(model, ids);
  for (std::size_t id = 0; id < model.pieces.size(); ++id) {
    if (!model.pieces[id].text.empty()) table.set(id, model.pieces[id].text, 0, PieceType::kNormal);
  }
  const auto spelled = [&](std::int32_t id) {
    std::string text = model.pieces[static_cast<std::size_t>(id)].text;
    for (std::size_t at; (at = text.find(' ')) != std::string::npos;) text.replace(at, 1, "\u0120");
    return text;
  };
  for (const data::Merge& merge : model.merges)
    table.vocabulary().merges.push_back(fmt::format("{} {}", spelled(merge.left), spelled(merge.right)));
}

// Flags that the converter writes, with what the tokenizer does, and those without which llama.cpp would do something else.
void set_flags(const models::ModelConfig& config, const TokenizerModel& model, const Rules& rules,
               const SpecialTokens& special, Vocabulary& table) {
  const bool is_llama = table.model == "llama";
  const data::PreTokenizer* pre = is_llama ? nullptr : data::find_pre_tokenizer(table.pre);
  const bool adds_begin = !model.begin_tokens.empty(), adds_end = !model.end_tokens.empty();
  const bool default_begin = is_llama || (pre != nullptr && pre->add_begin_token);
  const bool is_flagged = rules.llama && config.vocab_size == kFlaggedVocabulary;
  if (special.added.contains("bos") || adds_begin != default_begin || is_flagged)
    table.added_keys.emplace_back("add_bos_token", adds_begin);
  if (special.added.contains("eos") || adds_end) table.added_keys.emplace_back("add_eos_token", adds_end);
  if (const auto sep = special.added.find("sep"); sep != special.added.end())
    table.added_keys.emplace_back("add_sep_token", sep->second);
  const bool has_prefix = is_llama && model.spaces.prefix != data::SpaceRule::Prefix::kNever;
  const std::optional<bool> prefix = rules.llama ? special.prefix_space : std::nullopt;
  if (prefix || (is_llama && !has_prefix))
    table.added_keys.emplace_back("add_space_prefix", is_llama ? has_prefix : *prefix);
}

void name_official_ids(const SpecialTokens& special, Vocabulary& table) {
  for (const auto& [purpose, id] : special.ids) {
    if (purpose == "bos") table.begin = id;
    if (purpose == "eos") table.end = id;
    if (purpose == "unk") table.unknown = id;
    if (purpose == "pad") table.padding = id;
    if (purpose == "eot") table.end_of_turn = id;
    // The key of "sep" is spelled like that.
    if (purpose == "sep") table.further_ids.emplace_back("seperator_token_id", id);
    if (purpose == "cls" || purpose == "mask" || purpose == "eom")
      table.further_ids.emplace_back(purpose + "_token_id", id);
  }
}

// Of a Phi-3 tokenizer.model and the added tokens are all that the table needs.
TokenizerModel read_tokenizer(const fs::path& folder, const Rules& rules) {
  if (!rules.phi3 || fs::exists(folder / "tokenizer.json") || !fs::exists(folder / "tokenizer.model"))
    return data::read_tokenizer_model(folder);
  TokenizerModel model;
  model.merges_by_score = true;
  model.added_tokens = data::read_added_tokens(folder);
  return model;
}

void require_looked_up(const fs::path& folder, const Ids& ids) {
  for (const char* text : kLookedUp) {
    if (!ids.contains(text)) {
      throw FormatError(fmt::format("{}: the tokenizer has no token '{}', which llama.cpp's phi-3 rules need",
                                    folder.string(), text));
    }
  }
}

}  // namespace

Vocabulary read_vocabulary(const fs::path& model_folder, const models::ModelConfig& config) {
  const Rules rules{.phi3 = config.family == models::Family::kPhi3,
                    .llama = config.family == models::Family::kLlama || config.family == models::Family::kMistral};
  const TokenizerModel model = read_tokenizer(model_folder, rules);
  const bool is_byte_level = model.kind == data::VocabularyKind::kByteLevel;
  Table table(model_folder, config.vocab_size);
  Vocabulary& vocabulary = table.vocabulary();
  if (is_byte_level) {
    set_byte_level(model, table);
  } else {
    set_byte_fallback(model_folder, model, table);
  }
  set_added(model.added_tokens, {.phi3 = rules.phi3 && !is_byte_level}, table);
  if (is_byte_level) vocabulary.scores.clear();
  const Ids ids = table.unique_ids();
  if (rules.phi3 && !is_byte_level) {
    require_looked_up(model_folder, ids);
    name_phi3_ids(model_folder, config, ids, vocabulary);
    vocabulary.added_keys = {{"add_bos_token", !model.begin_tokens.empty()},
                             {"add_eos_token", !model.end_tokens.empty()},
                             {"add_space_prefix", model.spaces.prefix != data::SpaceRule::Prefix::kNever}};
  } else {
    const SpecialTokens special = read_special_tokens(model_folder, config.vocab_size);
    name_official_ids(special, vocabulary);
    set_flags(config, model, rules, special, vocabulary);
  }
  vocabulary.flags = compare_flags(model.added_tokens, has_normalizer(model_folder), rules.phi3 && !is_byte_level);
  vocabulary.cut_otherwise = cut_otherwise(model, vocabulary.pre);
  return std::move(vocabulary);
}

}  // namespace nkat::exporting
