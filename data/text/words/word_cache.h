// Tokens of words that were met before. One thread uses it at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nkat::data {

struct WordToken {
  std::int32_t id = 0;
  std::uint32_t end = 0;  // of its bytes in the word; they begin where the token before it ends
};

// Holds at most a few MiB: where two words want the same place the later one gets it, and a full cache is emptied.
class WordCache {
 public:
  static constexpr std::size_t kLongestWord = 128;  // longer ones are not kept

  // Nothing if the word is not there; else its tokens, until the next insert().
  std::optional<std::span<const WordToken>> find(std::string_view word) const;
  void insert(std::string_view word, std::span<const WordToken> tokens);

 private:
  struct Slot {
    std::uint64_t hash = 0;
    std::uint32_t text = 0;  // where its characters begin in texts_
    std::uint32_t tokens = 0;
    std::uint32_t length = 0;  // of the word; 0 where the slot is free
    std::uint32_t count = 0;
  };
  std::vector<Slot> slots_;
  std::string texts_;
  std::vector<WordToken> tokens_;
};

}  // namespace nkat::data
