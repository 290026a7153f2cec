// tokenizer.model: a sentencepiece ModelProto, read field by field from its protobuf wire format.
//
//   ModelProto       1 pieces (repeated), 2 trainer_spec, 3 normalizer_spec
//   SentencePiece    1 text, 2 score (f32), 3 type: NORMAL 1, UNKNOWN 2, CONTROL 3, USER_DEFINED 4, UNUSED 5, BYTE 6
//   TrainerSpec      3 model_type (2 = BPE), 24 treat_whitespace_as_suffix, 35 byte_fallback
//   NormalizerSpec   2 precompiled_charsmap, 3 add_dummy_prefix, 4 remove_extra_whitespaces, 5 escape_whitespaces
//
// Accepted are byte-pair models as Llama and Phi-3 use them: byte fallback, no character map, a prefix and every space
// kept. Anything else would give other ids than Hugging Face's tokenizer, so it is a FormatError, as are broken bytes,
// duplicate, empty, overlong or non-UTF-8 pieces and more than 2^19 of them. The library only ever sees bytes
// that serialize_sentencepiece_model wrote from checked fields.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nkat::data {

enum class PieceType { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6 };

struct Piece {
  std::string text;  // spaces as U+2581
  float score = 0;
  PieceType type = PieceType::kNormal;
};

// source: the file's name, for messages.
std::vector<Piece> parse_sentencepiece_model(std::string_view bytes, const std::string& source);

// A model of these pieces that normalizes nothing and adds no prefix: the text given to it is already escaped.
std::string serialize_sentencepiece_model(const std::vector<Piece>& pieces);

}  // namespace nkat::data
