// A model folder's tokenizer in a few lines: a sentencepiece byte-pair model of a dozen pieces and Phi-3's added
// tokens.
//   0 <unk>  1 <s>  2 </s>  3..258 bytes  then kTinyPieces from 259  and the added tokens from 300
#pragma once

#include <array>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/temporary_folder.h"

namespace nkat::testing {

// Scores fall from the first to the last, as training leaves them: merges of earlier pieces come first.
inline constexpr std::array<std::string_view, 14> kTinyPieces = {
    "he", "ll", "hell", "hello", "\u2581hello", "\u2581\u2581", "\u2581", "h", "e", "l", "o", "\u3053", "\u3093", "a"};
inline constexpr int kFirstTinyPiece = 259;

// The id of a piece of the table.
inline int tiny_id(std::string_view piece) {
  for (std::size_t i = 0; i < kTinyPieces.size(); ++i) {
    if (kTinyPieces[i] == piece) return kFirstTinyPiece + static_cast<int>(i);
  }
  return -1;
}
inline int byte_id(unsigned char byte) { return 3 + byte; }

inline std::string proto_varint(std::uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
  return out;
}
inline std::string proto_number(int field, std::uint64_t value) {
  return proto_varint(static_cast<std::uint64_t>(field) << 3) + proto_varint(value);
}
inline std::string proto_bytes(int field, std::string_view bytes) {
  std::string out = proto_varint(static_cast<std::uint64_t>(field) << 3 | 2);
  out += proto_varint(bytes.size());
  return out += bytes;
}
inline std::string proto_piece(std::string_view text, float score, int type) {
  std::string score_bytes(4, '\0');
  std::memcpy(score_bytes.data(), &score, 4);
  return proto_bytes(1, proto_bytes(1, text) + proto_varint(2 << 3 | 5) + score_bytes +
                            proto_number(3, static_cast<std::uint64_t>(type)));
}

inline std::string tiny_pieces() {
  std::string model = proto_piece("<unk>", 0, 2) + proto_piece("<s>", 0, 3) + proto_piece("</s>", 0, 3);
  for (int byte = 0; byte < 256; ++byte) {
    constexpr std::string_view kDigits = "0123456789ABCDEF";
    model += proto_piece(std::string("<0x") + kDigits[static_cast<std::size_t>(byte / 16)] +
                             kDigits[static_cast<std::size_t>(byte % 16)] + ">",
                         0, 6);
  }
  float score = 0;
  for (const std::string_view piece : kTinyPieces) model += proto_piece(piece, score -= 1, 1);
  return model;
}
inline std::string tiny_trainer() { return proto_bytes(2, proto_number(3, 2) + proto_number(35, 1)); }
inline std::string tiny_normalizer() {
  return proto_bytes(3, proto_bytes(1, "identity") + proto_number(3, 1) + proto_number(4, 0) + proto_number(5, 1));
}
inline std::string tiny_model() { return tiny_pieces() + tiny_trainer() + tiny_normalizer(); }

inline std::string added_token_json(std::string_view content, bool rstrip, bool special = true) {
  return std::string(R"({"content":")") + std::string(content) + R"(","lstrip":false,"normalized":false,"rstrip":)" +
         (rstrip ? "true" : "false") + R"(,"single_word":false,"special":)" + (special ? "true" : "false") + "}";
}

// Ids: <|endoftext|> 300, <|assistant|> 301, <|system|> 306, <|end|> 307, <|user|> 310; <unk>, <s>, </s> as in Phi-3.
inline std::string tiny_tokenizer_config() {
  return R"({"added_tokens_decoder":{"0":)" + added_token_json("<unk>", false) + R"(,"1":)" +
         added_token_json("<s>", false) + R"(,"2":)" + added_token_json("</s>", true, false) + R"(,"300":)" +
         added_token_json("<|endoftext|>", false) + R"(,"301":)" + added_token_json("<|assistant|>", true) +
         R"(,"306":)" + added_token_json("<|system|>", true) + R"(,"307":)" + added_token_json("<|end|>", true) +
         R"(,"310":)" + added_token_json("<|user|>", true) + R"(},"bos_token":"<s>","eos_token":"<|endoftext|>"})";
}

// The folder with tokenizer.model and tokenizer_config.json in it.
inline const std::filesystem::path& write_tiny_tokenizer(const TemporaryFolder& folder) {
  folder.write("tokenizer.model", tiny_model());
  folder.write("tokenizer_config.json", tiny_tokenizer_config());
  return folder.path();
}

}  // namespace nkat::testing
