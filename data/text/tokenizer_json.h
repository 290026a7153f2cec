// tokenizer.json of Hugging Face's `tokenizers`, as far as byte-pair models use it.
//
//   model          BPE: vocab {piece: id}, merges ["a b"] or [["a", "b"]] in rank order, byte_fallback, ignore_merges
//   normalizer     null, NFC, Prepend U+2581, Replace " " by U+2581, a Sequence of them
//   pre_tokenizer  with byte_fallback: null or Metaspace (prepend_scheme always, first, never; split)
//                  byte-level: Split (Regex or String; Isolated or Removed, invert), Digits, at the end ByteLevel
//   post_processor null, ByteLevel, TemplateProcessing (its `single`), a Sequence of them
//   decoder        null, ByteLevel, Metaspace, or Replace, ByteFallback, Fuse, Strip in a Sequence
//   added_tokens   added_tokens.h
//
// Whatever else would change ids is a FormatError that names it (Unigram, WordPiece, dropout, Lowercase, ...), as are
// duplicate texts and ids, ids with wide gaps, and merges of what is no piece.
#pragma once

#include <string>
#include <string_view>

#include "data/text/tokenizer_model.h"

namespace nkat::data {

// source: the file's name, for messages.
TokenizerModel parse_tokenizer_json(std::string_view text, const std::string& source);

}  // namespace nkat::data
