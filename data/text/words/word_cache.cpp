#include "data/text/words/word_cache.h"

#include <cstring>

namespace nkat::data {
namespace {

constexpr std::size_t kSlots = 1 << 16;
constexpr std::size_t kMostBytes = 2 << 20;
constexpr std::size_t kMostTokens = 1 << 19;

// Multiplies eight bytes at a time into a state (as FNV does with one).
std::uint64_t hash_of(std::string_view word) {
  constexpr std::uint64_t kPrime = 0x9E3779B97F4A7C15;
  std::uint64_t state = word.size() * kPrime;
  const auto mix = [&](std::uint64_t part) {
    state = (state ^ part) * kPrime;
    state ^= state >> 32;
  };
  std::size_t place = 0;
  for (; place + 8 <= word.size(); place += 8) {
    std::uint64_t part = 0;
    std::memcpy(&part, word.data() + place, 8);
    mix(part);
  }
  std::uint64_t rest = 0;
  std::memcpy(&rest, word.data() + place, word.size() - place);
  mix(rest);
  return state;
}

}  // namespace

std::optional<std::span<const WordToken>> WordCache::find(std::string_view word) const {
  if (slots_.empty() || word.size() > kLongestWord) return std::nullopt;
  const std::uint64_t hash = hash_of(word);
  const Slot& slot = slots_[hash % kSlots];
  if (slot.hash != hash || slot.length != word.size() ||
      std::memcmp(texts_.data() + slot.text, word.data(), word.size()) != 0)
    return std::nullopt;
  return std::span(tokens_).subspan(slot.tokens, slot.count);
}

void WordCache::insert(std::string_view word, std::span<const WordToken> tokens) {
  if (word.empty() || word.size() > kLongestWord) return;
  if (slots_.empty() || texts_.size() + word.size() > kMostBytes || tokens_.size() + tokens.size() > kMostTokens) {
    slots_.assign(kSlots, {});
    texts_.clear();
    tokens_.clear();
  }
  const std::uint64_t hash = hash_of(word);
  slots_[hash % kSlots] = {hash, static_cast<std::uint32_t>(texts_.size()), static_cast<std::uint32_t>(tokens_.size()),
                           static_cast<std::uint32_t>(word.size()), static_cast<std::uint32_t>(tokens.size())};
  texts_ += word;
  tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
}

}  // namespace nkat::data
