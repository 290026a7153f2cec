#include "data/text/tokenizer.h"

#include <algorithm>
#include <unordered_map>

#include <fmt/format.h>

#include "core/error.h"
#include "core/utf8.h"
#include "data/text/llama_cpp/longest_first.h"
#include "data/text/tokenizer_files.h"
#include "data/text/words/byte_alphabet.h"
#include "data/text/words/space_mark.h"
#include "data/text/words/stretch_encoder.h"

namespace nkat::data {
namespace {

constexpr std::string_view kReplacement = "\uFFFD";

std::string unescape_spaces(std::string_view piece) {
  std::string text;
  for (std::size_t position = 0; position < piece.size();) {
    if (piece.substr(position).starts_with(kSpaceMarkText)) {
      text.push_back(' ');
      position += kSpaceMarkText.size();
    } else {
      text.push_back(piece[position++]);
    }
  }
  return text;
}

// As Hugging Face's ByteFallback: one byte that is not UTF-8 spoils its run.
std::string run_as_text(const std::string& bytes) {
  if (find_invalid_utf8(bytes) == std::string::npos) return bytes;
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); ++i) text += kReplacement;
  return text;
}

// Where the longest beginning of a character ends that starts at `place` and is not one (The Unicode Standard, 3.9: the
// maximal subpart).
std::size_t end_of_broken_character(std::string_view bytes, std::size_t place) {
  std::size_t end = place + 1;
  while (end < bytes.size() && complete_utf8_prefix(bytes.substr(place, end - place)) == 0 &&
         (static_cast<unsigned char>(bytes[end]) & 0xC0) == 0x80) {
    // A second byte can make every continuation invalid: E0 80, ED A0, F0 80, F4 90.
    if (end == place + 1) {
      const auto lead = static_cast<unsigned char>(bytes[place]);
      const auto second = static_cast<unsigned char>(bytes[end]);
      if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F) || (lead == 0xF0 && second < 0x90) ||
          (lead == 0xF4 && second > 0x8F))
        break;
    }
    ++end;
  }
  return end;
}

std::string with_replacements(std::string_view bytes) {
  std::string text;
  for (std::size_t place = 0; place < bytes.size();) {
    const DecodedCodePoint point = decode_code_point(bytes, place);
    if (point.value == kInvalidCodePoint) {
      text += kReplacement;
      place = end_of_broken_character(bytes, place);
    } else {
      text += bytes.substr(place, point.length);
      place += point.length;
    }
  }
  return text;
}

}  // namespace

struct Tokenizer::State {
  explicit State(TokenizerModel from) : model(std::move(from)), raw_scanner(model.added_tokens, false), encoder(model) {
    check_added_tokens(model);
    if (model.like_llama_cpp) longest_first.emplace(model.added_tokens);
    for (std::size_t id = 0; id < model.pieces.size(); ++id) {
      if (!model.pieces[id].text.empty()) vocabulary_size = static_cast<std::int64_t>(id) + 1;
    }
    for (const AddedToken& token : model.added_tokens) {
      added_by_id[token.id] = &token;
      vocabulary_size = std::max<std::int64_t>(vocabulary_size, token.id + 1);
    }
    sha256 = tokenizer_identity(model);
  }

  std::vector<TextPart> scan(std::string_view text, std::span<const ByteRange> literal) const {
    return longest_first ? longest_first->scan(text, literal) : raw_scanner.scan(text, literal);
  }
  const AddedToken* added_token(std::int32_t id) const {
    const auto found = added_by_id.find(id);
    return found == added_by_id.end() ? nullptr : found->second;
  }

  TokenizerModel model;
  std::unordered_map<std::int32_t, const AddedToken*> added_by_id;
  AddedTokenScanner raw_scanner;
  std::optional<LongestFirstScanner> longest_first;  // takes its place
  StretchEncoder encoder;
  std::int64_t vocabulary_size = 0;
  std::string sha256;
};

Tokenizer::Tokenizer(const fs::path& model_folder) : Tokenizer(read_tokenizer_model(model_folder)) {}
Tokenizer::Tokenizer(TokenizerModel model) : state_(std::make_unique<State>(std::move(model))) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

std::vector<TokenSpan> Tokenizer::encode_spans(std::string_view utf8, std::span<const ByteRange> literal) const {
  if (const std::size_t bad = find_invalid_utf8(utf8); bad != std::string_view::npos) {
    throw DataError(fmt::format("the text is not UTF-8 at byte {}", bad));
  }
  std::vector<TokenSpan> spans;
  for (const TextPart& part : state_->scan(utf8, literal)) {
    if (part.token != nullptr) {
      spans.push_back({part.token->id, true, part.bytes});
    } else {
      state_->encoder.encode(utf8, part.bytes, touches(part.bytes, literal), spans);
    }
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

std::vector<std::int32_t> Tokenizer::encode_whole(std::string_view utf8, AddedTokens added_tokens) const {
  std::vector<std::int32_t> ids = encode(utf8, added_tokens);
  const std::vector<std::int32_t>& begin = state_->model.begin_tokens;
  const std::vector<std::int32_t>& end = state_->model.end_tokens;
  const auto stands_at = [&](const std::vector<std::int32_t>& tokens, std::size_t place) {
    return tokens.size() <= ids.size() &&
           std::equal(tokens.begin(), tokens.end(), ids.begin() + static_cast<std::ptrdiff_t>(place));
  };
  if (!stands_at(begin, 0)) ids.insert(ids.begin(), begin.begin(), begin.end());
  if (!stands_at(end, ids.size() - std::min(end.size(), ids.size()))) ids.insert(ids.end(), end.begin(), end.end());
  return ids;
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids, bool skip_special) const {
  StreamingDecoder decoder(*this, skip_special);
  std::string text;
  for (const std::int32_t id : ids) text += decoder.push(id);
  return text + decoder.finish();
}

std::optional<std::int32_t> Tokenizer::added_token(std::string_view text) const {
  const auto found = std::ranges::find(state_->model.added_tokens, text, &AddedToken::content);
  if (found == state_->model.added_tokens.end()) return std::nullopt;
  return found->id;
}

std::int64_t Tokenizer::vocabulary_size() const { return state_->vocabulary_size; }
const std::string& Tokenizer::sha256() const { return state_->sha256; }
const TokenizerModel& Tokenizer::model() const { return state_->model; }

StreamingDecoder::StreamingDecoder(const Tokenizer& tokenizer, bool skip_special)
    : tokenizer_(tokenizer), skip_special_(skip_special) {}

std::string StreamingDecoder::push(std::int32_t id) {
  const Tokenizer::State& state = *tokenizer_.state_;
  const std::vector<Piece>& pieces = state.model.pieces;
  const AddedToken* added = state.added_token(id);
  const bool is_piece = id >= 0 && static_cast<std::size_t>(id) < pieces.size();
  // Ids without a text (padding of the embedding) print nothing, as in Hugging Face's decoder.
  if ((added == nullptr && !is_piece) || (added != nullptr && added->special && skip_special_)) return "";
  const std::string& text = added != nullptr ? added->content : pieces[static_cast<std::size_t>(id)].text;
  if (state.model.kind == VocabularyKind::kByteLevel) {
    const std::optional<std::string> bytes = added != nullptr ? std::nullopt : bytes_of_spelling(text);
    return push_byte_level(bytes ? *bytes : text);
  }
  if (added == nullptr && pieces[static_cast<std::size_t>(id)].type == PieceType::kByte) {
    bytes_.push_back(static_cast<char>(std::stoi(text.substr(3, 2), nullptr, 16)));
    return "";
  }
  return release(run_as_text(std::exchange(bytes_, {})) + unescape_spaces(text));
}

std::string StreamingDecoder::push_byte_level(std::string_view bytes) {
  bytes_ += bytes;
  const std::size_t whole = complete_utf8_prefix(bytes_);
  std::string text = with_replacements(std::string_view(bytes_).substr(0, whole));
  bytes_.erase(0, whole);
  return release(std::move(text));
}

std::string StreamingDecoder::finish() {
  const std::string rest = std::exchange(bytes_, {});
  const bool byte_level = tokenizer_.model().kind == VocabularyKind::kByteLevel;
  return release(byte_level ? with_replacements(rest) : run_as_text(rest));
}

std::string StreamingDecoder::release(std::string text) {
  if (at_start_ && !text.empty()) {
    at_start_ = false;
    if (text[0] == ' ' && tokenizer_.model().strip_leading_space) text.erase(0, 1);
  }
  return text;
}

}  // namespace nkat::data
