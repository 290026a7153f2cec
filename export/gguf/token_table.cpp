#include "export/gguf/token_table.h"

#include <algorithm>
#include <unordered_map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/json.h"
#include "data/text/added_tokens.h"
#include "data/text/sentencepiece_model.h"

namespace nkat::exporting {
namespace {

constexpr std::uint64_t kFileLimit = 64 << 20;
constexpr float kPadScore = -10000;
constexpr float kAddedScore = -1000;

using Ids = std::unordered_map<std::string, std::uint32_t>;

// USER_DEFINED would make llama.cpp look for the piece before merging, which Hugging Face does for added tokens only.
data::PieceType type_of(data::PieceType type) {
  return type == data::PieceType::kUserDefined ? data::PieceType::kNormal : type;
}

class Table {
 public:
  Table(const fs::path& folder, std::int64_t vocab_size) : where_(folder.string()) {
    for (std::int64_t id = 0; id < vocab_size; ++id) {
      table_.texts.push_back(fmt::format("[PAD{}]", id));
      table_.scores.push_back(kPadScore);
      table_.types.push_back(static_cast<std::int32_t>(data::PieceType::kUnused));
    }
  }
  void set(std::size_t id, const std::string& text, float score, data::PieceType type) {
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
    for (const char* text : kLookedUp) {
      if (!ids.contains(text)) {
        throw FormatError(
            fmt::format("{}: the tokenizer has no token '{}', which llama.cpp's phi-3 rules need", where_, text));
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
class NamedTokens {
 public:
  NamedTokens(const fs::path& folder, const Ids& ids) : ids_(ids) {
    const fs::path path = folder / "tokenizer_config.json";
    if (fs::exists(path)) {
      config_ = parse_large_json(read_file(path, kFileLimit), path.string(),
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

void name_special_ids(const fs::path& folder, const models::ModelConfig& config, const Ids& ids, Vocabulary& table) {
  const NamedTokens named(folder, ids);
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

}  // namespace

Vocabulary read_vocabulary(const fs::path& model_folder, const models::ModelConfig& config) {
  const fs::path model = model_folder / "tokenizer.model";
  Table table(model_folder, config.vocab_size);
  std::size_t id = 0;
  for (const data::Piece& piece : data::parse_sentencepiece_model(read_file(model, kFileLimit), model.string()))
    table.set(id++, piece.text, piece.score, type_of(piece.type));
  const std::vector<data::AddedToken> added = data::read_added_tokens(model_folder);
  for (const data::AddedToken& token : added) {
    table.set(static_cast<std::size_t>(token.id), token.content, kAddedScore,
              token.special ? data::PieceType::kControl : data::PieceType::kUserDefined);
  }
  const Ids ids = table.unique_ids();
  name_special_ids(model_folder, config, ids, table.vocabulary());
  table.vocabulary().flags = compare_flags(added, has_normalizer(model_folder));
  return std::move(table.vocabulary());
}

}  // namespace nkat::exporting
