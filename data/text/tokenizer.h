// Text to token ids and back, with the ids of Hugging Face's fast tokenizer for Llama- and Phi-3-like folders:
// tokenizer.model (sentencepiece BPE) plus added tokens.
//
//   encode  1. the text is scanned for added tokens (leftmost, longest); those that strip swallow white space
//           2. every non-empty stretch between them gets U+2581 in front and for each space, then byte-pair merging
//           No begin or end token is added.
//   decode  pieces joined, U+2581 as space, byte pieces as bytes (a run that is not UTF-8: one U+FFFD a byte), and one
//           leading space dropped.
//
// A folder without tokenizer.model, or whose tokenizer.json describes another algorithm, is refused. encode() refuses
// bytes that are not UTF-8 (DataError). Const members may be called from several threads.
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

namespace nkat::data {

enum class AddedTokens { kText, kControl };  // are added-token strings inside the text recognized?
inline constexpr EnumNames<AddedTokens, 2> kAddedTokensNames = {
    {{AddedTokens::kText, "text"}, {AddedTokens::kControl, "control"}}};

struct TokenSpan {
  std::int32_t id = 0;
  bool added = false;
  ByteRange bytes;  // of the added token with the white space it swallowed, or of the whole stretch between two
};

class Tokenizer {
 public:
  explicit Tokenizer(const fs::path& model_folder);
  Tokenizer(Tokenizer&&) noexcept;
  ~Tokenizer();

  std::vector<std::int32_t> encode(std::string_view utf8, AddedTokens added_tokens) const;
  // Added tokens are recognized outside the literal ranges (sorted) only.
  std::vector<TokenSpan> encode_spans(std::string_view utf8, std::span<const ByteRange> literal) const;

  std::string decode(std::span<const std::int32_t> ids, bool skip_special = false) const;
  std::optional<std::int32_t> added_token(std::string_view text) const;

  // One more than the largest id that has a text.
  std::int64_t vocabulary_size() const;
  // Hash of everything that decides ids.
  const std::string& sha256() const;

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

  const Tokenizer& tokenizer_;
  bool skip_special_;
  bool at_start_ = true;
  std::string bytes_;  // of a run of byte pieces that has not ended
};

}  // namespace nkat::data
