#include "data/text/tokenizer_json.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/json.h"
#include "core/message.h"
#include "core/utf8.h"
#include "data/text/added_tokens.h"
#include "data/text/tokenizer_steps.h"
#include "data/text/words/byte_alphabet.h"

namespace nkat::data {
namespace {

using Json = nlohmann::json;

constexpr std::int64_t kMostPieces = std::int64_t{1} << 22;
constexpr std::int64_t kMostGaps = std::int64_t{1} << 16;
constexpr std::size_t kMostMerges = std::size_t{1} << 22;

class FileReader {
 public:
  FileReader(std::string_view text, const std::string& source) : text_(text) { model_.source = source; }

  TokenizerModel read() {
    for_each_json_part(
        text_, model_.source, {"model", "model.vocab", "model.merges"},
        [&](const std::string& inside, const std::string& key, const Json& value) { take(inside, key, value); });
    check_settings();
    place_pieces();
    read_tokenizer_steps(steps_, model_);
    if (model_.kind == VocabularyKind::kByteFallback) {
      if (model_.ignore_merges) fail("model: {}", expected("ignore_merges of a byte-level model", "byte_fallback"));
      name_piece_types();
    } else if (!settings_.value("unk_token", Json()).is_null()) {
      require_bytes();
    }
    place_merges();
    return std::move(model_);
  }

 private:
  template <class... Args>
  [[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) const {
    throw FormatError(fmt::format("{}: {}", model_.source, fmt::format(format, std::forward<Args>(args)...)));
  }

  void take(const std::string& inside, const std::string& key, const Json& value) {
    if (inside == "model.vocab") return take_piece(key, value);
    if (inside == "model.merges") return take_merge(value);
    if (inside == "model") {
      settings_[key] = value;
    } else if (key == "model") {
      fail("key 'model': {}", expected("an object", value.type_name()));
    } else if (key == "added_tokens") {
      model_.added_tokens = parse_added_tokens(value, model_.source);
    } else {
      steps_[key] = value;
    }
  }

  void take_piece(const std::string& text, const Json& id) {
    // A list of pieces belongs to another kind of model, which is refused by its name.
    if (!id.is_number_integer()) {
      is_list_ |= id.is_array();
      if (is_list_) return;
      fail("model.vocab: '{}': {}", ellipsize(text), expected("an integer id", id.type_name()));
    }
    pieces_.emplace_back(text, id.get<std::int64_t>());
  }

  void take_merge(const Json& merge) {
    if (merges_.size() == kMostMerges)
      fail("model.merges: {}", expected(fmt::format("at most {}", kMostMerges), "more"));
    if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      merges_.emplace_back(merge[0].get<std::string>(), merge[1].get<std::string>());
      return;
    }
    const std::string both = merge.is_string() ? merge.get<std::string>() : "";
    const std::size_t space = both.find(' ');
    if (space == std::string::npos || both.find(' ', space + 1) != std::string::npos)
      fail("model.merges: merge {}: {}", merges_.size(),
           expected("two pieces with one space between them, or a list of two", ellipsize(dump_json(merge), 100)));
    merges_.emplace_back(both.substr(0, space), both.substr(space + 1));
  }

  // Absent, or null, or one of the values that change no ids.
  void require_unset(const char* name, const std::vector<Json>& harmless) const {
    const Json value = settings_.value(name, Json());
    if (!value.is_null() && std::ranges::find(harmless, value) == harmless.end())
      fail("model.{}: {}", name, expected("none", ellipsize(dump_json(value), 100)));
  }

  void check_settings() {
    if (settings_.empty() && pieces_.empty() && !is_list_)
      fail("{}", expected("an object 'model' with an object 'vocab'", "none"));
    const Json type = settings_.value("type", Json("BPE"));
    if (type != Json("BPE")) {
      fail("model: {}",
           expected("a byte-pair model (BPE)", type.is_string() ? type.get<std::string>() : dump_json(type),
                    "Unigram, WordPiece and WordLevel are not supported"));
    }
    if (is_list_ || pieces_.empty())
      fail("model: {}", expected("an object 'vocab' from pieces to ids", is_list_ ? "a list" : "none"));
    require_unset("dropout", {Json(0.0)});
    require_unset("continuing_subword_prefix", {Json("")});
    require_unset("end_of_word_suffix", {Json("")});
    const bool byte_fallback = settings_.value("byte_fallback", Json()) == Json(true);
    model_.kind = byte_fallback ? VocabularyKind::kByteFallback : VocabularyKind::kByteLevel;
    model_.ignore_merges = settings_.value("ignore_merges", Json()) == Json(true);
  }

  void place_pieces() {
    const std::int64_t most = std::min(kMostPieces, static_cast<std::int64_t>(pieces_.size()) + kMostGaps);
    for (const auto& [text, id] : pieces_) {
      if (id < 0 || id >= most)
        fail("model.vocab: '{}': {}", ellipsize(text),
             expected(fmt::format("an id from 0 to {}", most - 1), std::to_string(id)));
      const auto place = static_cast<std::size_t>(id);
      if (place >= model_.pieces.size()) model_.pieces.resize(place + 1, {"", 0, PieceType::kUnused});
      if (text.empty() || !model_.pieces[place].text.empty())
        fail("model.vocab: '{}' and '{}' both have the id {}", ellipsize(model_.pieces[place].text), ellipsize(text),
             id);
      model_.pieces[place] = {text, 0, PieceType::kNormal};
      if (!ids_.emplace(text, static_cast<std::int32_t>(id)).second)
        fail("model.vocab: duplicate piece '{}'", ellipsize(text));
    }
    pieces_.clear();
  }

  void name_piece_types() {
    for (int byte = 0; byte < 256; ++byte) {
      const auto found = ids_.find(fmt::format("<0x{:02X}>", byte));
      if (found != ids_.end()) model_.pieces[static_cast<std::size_t>(found->second)].type = PieceType::kByte;
    }
    const Json unknown = settings_.value("unk_token", Json());
    const auto found = unknown.is_string() ? ids_.find(unknown.get<std::string>()) : ids_.end();
    if (found != ids_.end()) model_.pieces[static_cast<std::size_t>(found->second)].type = PieceType::kUnknown;
  }

  // Bytes without a piece are left out, but where there is an unknown token it would stand for them.
  void require_bytes() const {
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const bool in_utf8 = byte < 0xC0 || (byte > 0xC1 && byte < 0xF5);
      if (in_utf8 && !ids_.contains(byte_alphabet()[byte]))
        fail("model.vocab: {}",
             expected(fmt::format("a piece '{}' for the byte 0x{:02X}", byte_alphabet()[byte], byte), "none"));
    }
  }

  std::int32_t id_of(const std::string& text) const {
    const auto found = ids_.find(text);
    if (found == ids_.end()) fail("model.merges: '{}' is no piece of the vocab", ellipsize(text));
    return found->second;
  }
  void place_merges() {
    model_.merges.reserve(merges_.size());
    for (const auto& [left, right] : merges_) model_.merges.push_back({id_of(left), id_of(right)});
  }

  std::string_view text_;
  TokenizerModel model_;
  Json settings_ = Json::object();  // of the model, without its vocab and merges
  Json steps_ = Json::object();
  bool is_list_ = false;  // the vocab
  std::vector<std::pair<std::string, std::int64_t>> pieces_;
  std::vector<std::pair<std::string, std::string>> merges_;
  std::unordered_map<std::string, std::int32_t> ids_;
};

}  // namespace

TokenizerModel parse_tokenizer_json(std::string_view text, const std::string& source) {
  return FileReader(text, source).read();
}

}  // namespace nkat::data
