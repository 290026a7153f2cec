// Text to token ids and back, with the ids of Hugging Face's fast tokenizers: byte-pair models with byte fallback (Llama,
// Phi-3) and byte-level ones (GPT-2, Llama 3, Qwen2, Phi-4), however they are stored (tokenizer_model.h).
//
//   encode  1. the text is scanned for added tokens (leftmost, longest); those that strip swallow white space
//           2. every non-empty stretch between them is normalized, scanned for added tokens that are `normalized`, and
//              cut into words; each word is merged pair by pair (words/byte_pair.h)
//           No begin or end token is added but by encode_whole().
//   decode  byte fallback: pieces joined, U+2581 as space, byte pieces as bytes (a run that is not UTF-8: one U+FFFD a byte),
//           and one leading space dropped where the tokenizer puts one; byte-level: the bytes of all pieces joined, what is
//           not UTF-8 as U+FFFD
//
// encode() refuses bytes that are not UTF-8 (DataError). Const members may be called from several threads.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/enum_names.h"
#include "core/files/file.h"
#include "data/text/added_tokens.h"
#include "data/text/token_span.h"
#include "data/text/tokenizer_model.h"

namespace nkat::data {

enum class AddedTokens { kText, kControl };  // are added-token strings inside the text recognized?
inline constexpr EnumNames<AddedTokens, 2> kAddedTokensNames = {
    {{AddedTokens::kText, "text"}, {AddedTokens::kControl, "control"}}};

class Tokenizer {
 public:
  explicit Tokenizer(const fs::path& model_folder);  // tokenizer_files.h
  explicit Tokenizer(TokenizerModel model);
  Tokenizer(Tokenizer&&) noexcept;
  ~Tokenizer();

  std::vector<std::int32_t> encode(std::string_view utf8, AddedTokens added_tokens) const;
  // Added tokens are recognized outside the literal ranges (sorted) only.
  std::vector<TokenSpan> encode_spans(std::string_view utf8, std::span<const ByteRange> literal) const;
  // The same with the tokens that the tokenizer puts around a plain text (<s>), as tokenizer(text) of transformers does.
  // A text that begins or ends with them already gets no second ones. Never for a rendered conversation, whose template
  // writes its own.
  std::vector<std::int32_t> encode_whole(std::string_view utf8, AddedTokens added_tokens) const;

  std::string decode(std::span<const std::int32_t> ids, bool skip_special = false) const;
  std::optional<std::int32_t> added_token(std::string_view text) const;

  // One more than the largest id that has a text.
  std::int64_t vocabulary_size() const;
  // Hash of everything that decides ids.
  const std::string& sha256() const;
  const TokenizerModel& model() const;

 private:
  friend class StreamingDecoder;
  struct State;
  std::unique_ptr<State> state_;
};

// Decodes one id at a time: push() returns the text that is certain by now, in whole characters, finish() the rest.
// Joined they equal decode(). The tokenizer must outlive it.
class StreamingDecoder {
 public:
  explicit StreamingDecoder(const Tokenizer& tokenizer, bool skip_special = false);
  std::string push(std::int32_t id);
  std::string finish();

 private:
  std::string release(std::string text);
  std::string push_byte_level(std::string_view bytes);

  const Tokenizer& tokenizer_;
  bool skip_special_;
  bool at_start_ = true;
  std::string bytes_;  // of a run of byte pieces, or of a character, that has not ended
};

}  // namespace nkat::data
