// What decides a tokenizer's ids, however it is stored: tokenizer.json, tokenizer.model or the keys of a GGUF.
// tokenizer.h says how a text becomes ids by it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/text/added_tokens.h"
#include "data/text/sentencepiece_model.h"

namespace nkat::data {

enum class VocabularyKind {
  kByteFallback,  // Llama, Phi-3: pieces are UTF-8 with U+2581 for a space; <0x00> to <0xFF> spell other characters
  kByteLevel,     // GPT-2, Llama 3, Qwen2: a piece spells each byte by a character of GPT-2's alphabet (space: U+0120)
};

// Two pieces that become a third one, whose text is theirs joined.
struct Merge {
  std::int32_t left = 0;
  std::int32_t right = 0;
};

// kByteFallback: how spaces become U+2581, and where one more is put in front of a text that is not empty.
struct SpaceRule {
  enum class Prefix { kNever, kFirst, kAlways };
  Prefix prefix = Prefix::kAlways;  // kFirst: at the beginning of the text only, kAlways: behind added tokens too
  // As the pre-tokenizer Metaspace: after normalized added tokens were found, and no prefix where U+2581 stands already.
  // Otherwise as the normalizers Prepend and Replace: before they are looked for, and the prefix always.
  bool metaspace = false;
  bool split = false;  // Metaspace's: each U+2581 begins a word
};

// kByteLevel: one step of cutting a text into words. It cuts each word that the step before it left.
struct SplitStep {
  std::string expression;     // data/text/words/split_expression.h; empty: the word stays whole
  bool keep_matches = true;   // false: what the expression matches is left out (behavior Removed)
  bool keep_gaps = true;      // false: what lies between matches is left out (Removed, inverted)
  bool prefix_space = false;  // before that, a word that begins with another character gets a space in front
};

struct TokenizerModel {
  std::string source;  // file or folder, for messages
  VocabularyKind kind = VocabularyKind::kByteFallback;
  // By id; an empty text where an id has none. Scores count only where merges_by_score.
  std::vector<Piece> pieces;
  // In rank order. None where merges_by_score: then two pieces merge if their text joined is a piece (not CONTROL, BYTE
  // or UNKNOWN), the highest score first, of equal ones the leftmost (sentencepiece).
  std::vector<Merge> merges;
  bool merges_by_score = false;
  bool ignore_merges = false;  // a word that is a piece is taken whole
  bool nfc = false;            // texts are brought to Unicode's normalization form C first
  SpaceRule spaces;
  std::vector<SplitStep> split_steps;
  std::vector<AddedToken> added_tokens;  // sorted by id; may lie beyond the pieces
  // As llama.cpp reads a text: the longest added token first wherever it stands (llama_cpp/longest_first.h), and a byte
  // without a piece keeps its neighbors apart before it is left out.
  bool like_llama_cpp = false;
  // Ids that the post-processor puts around a plain text, as tokenizer(text) of transformers does.
  std::vector<std::int32_t> begin_tokens;
  std::vector<std::int32_t> end_tokens;
  bool strip_leading_space = true;  // decoding drops one space at the beginning
  std::string sha256;               // of everything that decides ids, where another form of it gave the hash already
};

// `sha256`, else a hash of the fields. The same vocabulary has one hash for each way in which it is stored.
std::string tokenizer_identity(const TokenizerModel& model);

// FormatError for added tokens that have the id of another piece, and for begin and end tokens without a text.
void check_added_tokens(const TokenizerModel& model);

}  // namespace nkat::data
