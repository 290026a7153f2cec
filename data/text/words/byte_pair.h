// Byte-pair merging of one word: its characters (kByteFallback) or bytes (kByteLevel) are joined pair by pair, the pair of
// the lowest rank first, of equal ranks the leftmost, until no two neighbors make a piece.
//
// A word of n characters takes n log n steps. Characters that are no piece become their bytes' pieces.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "data/text/tokenizer_model.h"
#include "data/text/words/word_cache.h"

namespace nkat::data {

// What merging needs besides the vocabulary. One thread uses it at a time.
struct MergeMemory {
  struct Pair {
    std::uint32_t rank = 0;
    std::int32_t merged = 0;
  };
  WordCache cache;
  std::vector<std::int32_t> ids;    // the word's symbols
  std::vector<std::uint32_t> ends;  // of their bytes
  std::vector<Pair> pairs;          // of each symbol with the next one
  std::vector<std::uint32_t> next;
  std::vector<std::uint32_t> previous;
  std::vector<WordToken> tokens;
};

class BytePairMerger {
 public:
  // FormatError where the vocabulary can't spell every byte, or a merge makes no piece. The model may go afterwards.
  explicit BytePairMerger(const TokenizerModel& model);

  // Of kByteFallback the word's spaces count as U+2581. The tokens are good until the next call with this memory.
  std::span<const WordToken> merge(std::string_view word, MergeMemory& memory) const;

 private:
  using Pair = MergeMemory::Pair;
  static constexpr std::uint64_t kFree = ~std::uint64_t{0};
  struct Entry {
    std::uint64_t symbols = kFree;
    Pair pair;
  };
  using Ids = std::unordered_map<std::string, std::int32_t>;
  static constexpr Pair kNoPair{UINT32_MAX, -1};

  void read_bytes(const TokenizerModel& model);
  void read_characters(const TokenizerModel& model);
  void read_merges(const TokenizerModel& model, const Ids& ids);
  void read_scores(const TokenizerModel& model);
  void reserve_pairs(std::size_t count);
  void add_pair(std::int32_t left, std::int32_t right, Pair pair);
  Pair find_pair(std::int32_t left, std::int32_t right) const;

  void split_into_symbols(std::string_view word, MergeMemory& memory) const;
  void merge_few(MergeMemory& memory) const;
  void merge_many(MergeMemory& memory) const;
  void put_tokens(std::string_view word, MergeMemory& memory) const;

  bool byte_level_ = false;
  bool keeps_gaps_ = false;                // where a byte has no piece
  std::int32_t pieces_ = 0;                // ids from here on are symbols without a piece
  std::array<std::int32_t, 256> bytes_{};  // their pieces' ids; -1: none
  std::vector<std::int32_t> characters_;   // symbols by code point; -1: no piece holds it
  std::vector<Entry> pairs_;               // open addressing
  Ids whole_words_;                        // only where merges are ignored for them
};

}  // namespace nkat::data
