#include "data/text/tokenizer.h"

#include <algorithm>
#include <sentencepiece_processor.h>
#include <unordered_map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files/sha256.h"
#include "core/json.h"
#include "core/message.h"
#include "core/utf8.h"
#include "data/run/given_folder.h"
#include "data/text/sentencepiece_model.h"
#include "data/text/split_points.h"

namespace nkat::data {
namespace {

using Json = nlohmann::json;

constexpr std::uint64_t kModelLimit = 64 << 20;
constexpr std::size_t kChunk = 512;  // bytes merged at a time, at least
constexpr std::string_view kSpaceMark = "\u2581";
constexpr std::string_view kReplacement = "\uFFFD";

std::string unescape_spaces(std::string_view piece) {
  std::string text;
  for (std::size_t position = 0; position < piece.size();) {
    if (piece.substr(position).starts_with(kSpaceMark)) {
      text.push_back(' ');
      position += kSpaceMark.size();
    } else {
      text.push_back(piece[position++]);
    }
  }
  return text;
}

std::string bytes_as_text(const std::string& bytes) {
  if (find_invalid_utf8(bytes) == std::string::npos) return bytes;
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); ++i) text += kReplacement;
  return text;
}

std::vector<Piece> read_pieces(const fs::path& model_folder) {
  const fs::path path = model_folder / "tokenizer.model";
  if (!fs::exists(path)) {
    const bool other = fs::exists(model_folder / "tokenizer.json") || fs::exists(model_folder / "vocab.json");
    throw DataError(
        fmt::format("{}: {}", model_folder.string(),
                    expected("a sentencepiece tokenizer.model, as Phi-3 and Phi-3.5 have it",
                             other ? "another tokenizer (Phi-4 and GPT-2 kinds are not supported)" : "none")));
  }
  const MappedFile map(path);
  if (map.bytes().size() > kModelLimit) {
    throw DataError(
        fmt::format("{}: {}", path.string(),
                    expected(fmt::format("at most {} bytes", kModelLimit), std::to_string(map.bytes().size()))));
  }
  const std::string_view bytes(reinterpret_cast<const char*>(map.bytes().data()), map.bytes().size());
  return parse_sentencepiece_model(bytes, path.string());
}

// tokenizer.json must mean what this class does: prefix and spaces as U+2581 on every stretch, byte-pair merging of the
// same pieces.
void check_tokenizer_json(const fs::path& path, const std::vector<Piece>& pieces) {
  const Json file =
      parse_large_json(read_file(path, kModelLimit), path.string(), {"normalizer", "pre_tokenizer", "model"});
  const auto require = [&](bool condition, const std::string& required) {
    if (!condition) {
      throw FormatError(
          fmt::format("{}: expected {}, as in Phi-3.5's; another tokenizer is not supported", path.string(), required));
    }
  };
  static const Json kNormalizer = Json::parse(
      R"({"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},{"type":"Replace","pattern":{"String":" "},"content":"▁"}]})");
  require(file.is_object() && file.contains("model") && file["model"].is_object(), "an object 'model'");
  require(file.value("normalizer", Json()) == kNormalizer, "the normalizer Prepend ▁, Replace space by ▁");
  require(file.value("pre_tokenizer", Json()).is_null(), "no pre_tokenizer");
  const Json& model = file["model"];
  require(model.value("type", Json("BPE")) == Json("BPE") && model.value("byte_fallback", Json()) == Json(true),
          "a BPE model with byte_fallback");
  require(model.contains("vocab") && model["vocab"].is_object() && model["vocab"].size() >= pieces.size(),
          fmt::format("a vocab with the {} pieces of tokenizer.model", pieces.size()));
  for (std::size_t id = 0; id < pieces.size(); ++id) {
    require(model["vocab"].value(pieces[id].text, Json()) == Json(id),
            fmt::format("piece '{}' of tokenizer.model with id {}", pieces[id].text, id));
  }
}

}  // namespace

struct Tokenizer::State {
  std::vector<Piece> pieces;
  std::vector<AddedToken> added;
  std::unordered_map<std::int32_t, const AddedToken*> added_by_id;
  std::unique_ptr<AddedTokenScanner> raw_scanner;
  std::unique_ptr<AddedTokenScanner> normalized_scanner;
  std::unique_ptr<SplitPoints> split_points;
  sentencepiece::SentencePieceProcessor processor;
  std::int64_t vocabulary_size = 0;
  std::string sha256;

  const AddedToken* added_token(std::int32_t id) const {
    const auto found = added_by_id.find(id);
    return found == added_by_id.end() ? nullptr : found->second;
  }

  // Byte-pair encoding of an escaped text; every id gets the range.
  void merge(std::string_view escaped, ByteRange bytes, std::vector<TokenSpan>& spans) const {
    while (!escaped.empty()) {
      const std::size_t length = split_points->next(escaped, kChunk);
      std::vector<int> ids;
      const auto status = processor.Encode(escaped.substr(0, length), &ids);
      NKAT_INVARIANT(status.ok());
      for (const int id : ids) spans.push_back({id, false, bytes});
      escaped.remove_prefix(length);
    }
  }

  // A stretch without raw added tokens.
  void encode_stretch(std::string_view text, ByteRange bytes, bool literal, std::vector<TokenSpan>& spans) const {
    const std::string escaped = escape_spaces(text.substr(bytes.begin, bytes.end - bytes.begin));
    if (literal || normalized_scanner->empty()) return merge(escaped, bytes, spans);
    for (const TextPart& part : normalized_scanner->scan(escaped, {})) {
      if (part.token != nullptr) {
        spans.push_back({part.token->id, true, bytes});
      } else {
        merge(std::string_view(escaped).substr(part.bytes.begin, part.bytes.end - part.bytes.begin), bytes, spans);
      }
    }
  }
};

Tokenizer::Tokenizer(const fs::path& model_folder) : state_(std::make_unique<State>()) {
  State& state = *state_;
  require_model_folder(model_folder);
  state.pieces = read_pieces(model_folder);
  if (const fs::path json = model_folder / "tokenizer.json"; fs::exists(json)) check_tokenizer_json(json, state.pieces);
  state.added = read_added_tokens(model_folder);
  state.vocabulary_size = static_cast<std::int64_t>(state.pieces.size());
  Sha256 hash;
  for (const AddedToken& token : state.added) {
    state.added_by_id[token.id] = &token;
    state.vocabulary_size = std::max<std::int64_t>(state.vocabulary_size, token.id + 1);
    hash.update(fmt::format("{} {} {}{}{}{} {}\n", token.id, token.content.size(), token.special, token.strip_left,
                            token.strip_right, token.normalized, token.content));
    const auto id = static_cast<std::size_t>(token.id);
    if (id < state.pieces.size() && state.pieces[id].text != token.content) {
      throw FormatError(fmt::format("{}: added token '{}' has id {}, which tokenizer.model gives to '{}'",
                                    model_folder.string(), token.content, id, state.pieces[id].text));
    }
  }
  // Symbols that the library would find by itself must be left to the scan, which knows when they are plain text.
  std::vector<Piece> pieces = state.pieces;
  for (std::size_t id = 0; id < pieces.size(); ++id) {
    if (pieces[id].type != PieceType::kUserDefined) continue;
    if (state.added_token(static_cast<std::int32_t>(id)) == nullptr) {
      throw FormatError(fmt::format("{}: the user-defined piece '{}' of tokenizer.model must be an added token too",
                                    model_folder.string(), pieces[id].text));
    }
    pieces[id].type = PieceType::kControl;
  }
  const std::string model = serialize_sentencepiece_model(pieces);
  const auto status = state.processor.LoadFromSerializedProto(model);
  if (!status.ok()) {
    throw FormatError(
        fmt::format("{}: sentencepiece refuses tokenizer.model: {}", model_folder.string(), status.message()));
  }
  state.split_points = std::make_unique<SplitPoints>(pieces);
  hash.update(model);
  state.sha256 = hash.hex();
  state.raw_scanner = std::make_unique<AddedTokenScanner>(state.added, false);
  state.normalized_scanner = std::make_unique<AddedTokenScanner>(state.added, true);
}

Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

std::vector<TokenSpan> Tokenizer::encode_spans(std::string_view utf8, std::span<const ByteRange> literal) const {
  if (const std::size_t bad = find_invalid_utf8(utf8); bad != std::string_view::npos) {
    throw DataError(fmt::format("the text is not UTF-8 at byte {}", bad));
  }
  std::vector<TokenSpan> spans;
  for (const TextPart& part : state_->raw_scanner->scan(utf8, literal)) {
    if (part.token != nullptr) {
      spans.push_back({part.token->id, true, part.bytes});
      continue;
    }
    state_->encode_stretch(utf8, part.bytes, touches(part.bytes, literal), spans);
  }
  return spans;
}

std::vector<std::int32_t> Tokenizer::encode(std::string_view utf8, AddedTokens added_tokens) const {
  const ByteRange whole{0, utf8.size()};
  const bool literal = added_tokens == AddedTokens::kText;
  std::vector<std::int32_t> ids;
  for (const TokenSpan& span : encode_spans(utf8, literal ? std::span(&whole, 1) : std::span<const ByteRange>())) {
    ids.push_back(span.id);
  }
  return ids;
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids, bool skip_special) const {
  StreamingDecoder decoder(*this, skip_special);
  std::string text;
  for (const std::int32_t id : ids) text += decoder.push(id);
  return text + decoder.finish();
}

std::optional<std::int32_t> Tokenizer::added_token(std::string_view text) const {
  const auto found = std::ranges::find(state_->added, text, &AddedToken::content);
  if (found == state_->added.end()) return std::nullopt;
  return found->id;
}

std::int64_t Tokenizer::vocabulary_size() const { return state_->vocabulary_size; }
const std::string& Tokenizer::sha256() const { return state_->sha256; }

StreamingDecoder::StreamingDecoder(const Tokenizer& tokenizer, bool skip_special)
    : tokenizer_(tokenizer), skip_special_(skip_special) {}

std::string StreamingDecoder::push(std::int32_t id) {
  const Tokenizer::State& state = *tokenizer_.state_;
  const AddedToken* added = state.added_token(id);
  const bool is_piece = id >= 0 && static_cast<std::size_t>(id) < state.pieces.size();
  // Ids without a text (padding of the embedding) print nothing, as in Hugging Face's decoder.
  if ((added == nullptr && !is_piece) || (added != nullptr && added->special && skip_special_)) return "";
  const std::string& text = added != nullptr ? added->content : state.pieces[static_cast<std::size_t>(id)].text;
  if (added == nullptr && state.pieces[static_cast<std::size_t>(id)].type == PieceType::kByte) {
    bytes_.push_back(static_cast<char>(std::stoi(text.substr(3, 2), nullptr, 16)));
    return "";
  }
  return release(bytes_as_text(std::exchange(bytes_, {})) + unescape_spaces(text));
}

std::string StreamingDecoder::finish() { return release(bytes_as_text(std::exchange(bytes_, {}))); }

std::string StreamingDecoder::release(std::string text) {
  if (at_start_ && !text.empty()) {
    at_start_ = false;
    if (text[0] == ' ') text.erase(0, 1);
  }
  return text;
}

}  // namespace nkat::data
