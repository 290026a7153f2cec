#include "data/text/unicode/nfc.h"

#include <algorithm>
#include <unordered_map>

#include "core/utf8.h"
#include "data/text/unicode/canonical.h"
#include "data/text/unicode/categories.h"

namespace nkat::data {
namespace {

// Hangul syllables are arithmetic (The Unicode Standard, 3.12).
constexpr char32_t kSyllables = 0xAC00, kLead = 0x1100, kVowel = 0x1161, kTrail = 0x11A7;
constexpr char32_t kLeads = 19, kVowels = 21, kTrails = 28;
// The first byte of U+0300: no code point below is unstable.
constexpr unsigned char kFirstUnstableLead = 0xCC;

class Tables {
 public:
  Tables() {
    for (const CombiningClassRun& run : combining_class_runs()) {
      for (char32_t c = run.first; c <= run.last; ++c) {
        classes_[c] = run.combining_class;
        joins_[c] = true;
      }
    }
    for (const CanonicalPair& pair : composing_pairs()) {
      decompositions_[pair.composed] = pair;
      compositions_[key(pair.first, pair.second)] = pair.composed;
      joins_[pair.second] = true;
    }
    for (char32_t c = kVowel; c < kVowel + kVowels; ++c) joins_[c] = true;
    for (char32_t c = kTrail + 1; c < kTrail + kTrails; ++c) joins_[c] = true;
    unstable_ = joins_;
    for (const auto& pairs : {canonical_singletons(), excluded_pairs()}) {
      for (const CanonicalPair& pair : pairs) {
        decompositions_[pair.composed] = pair;
        unstable_[pair.composed] = true;
        std::u32string parts;
        decompose(pair.first, parts);
        joins_[pair.composed] = joins_[parts[0]];
      }
    }
  }

  std::uint8_t combining_class(char32_t c) const {
    const auto found = classes_.find(c);
    return found == classes_.end() ? std::uint8_t{0} : found->second;
  }
  // May it join what stands before it? If not, a sequence begins that nothing before it touches.
  bool joins(char32_t c) const { return joins_[c]; }
  // May it join or change?
  bool is_unstable(char32_t c) const { return unstable_[c]; }

  void decompose(char32_t c, std::u32string& out) const {
    if (c >= kSyllables && c < kSyllables + kLeads * kVowels * kTrails) {
      const char32_t index = c - kSyllables;
      out.push_back(kLead + index / (kVowels * kTrails));
      out.push_back(kVowel + index / kTrails % kVowels);
      if (index % kTrails != 0) out.push_back(kTrail + index % kTrails);
      return;
    }
    const auto found = decompositions_.find(c);
    if (found == decompositions_.end()) {
      out.push_back(c);
      return;
    }
    decompose(found->second.first, out);
    if (found->second.second != 0) decompose(found->second.second, out);
  }
  // The character that the two become; 0 if they stay two.
  char32_t compose(char32_t first, char32_t second) const {
    if (first >= kLead && first < kLead + kLeads && second >= kVowel && second < kVowel + kVowels)
      return kSyllables + ((first - kLead) * kVowels + (second - kVowel)) * kTrails;
    const char32_t index = first - kSyllables;
    if (first >= kSyllables && index < kLeads * kVowels * kTrails && index % kTrails == 0 && second > kTrail &&
        second < kTrail + kTrails)
      return first + (second - kTrail);
    const auto found = compositions_.find(key(first, second));
    return found == compositions_.end() ? 0 : found->second;
  }

 private:
  static std::uint64_t key(char32_t first, char32_t second) { return std::uint64_t{first} << 32 | second; }

  std::unordered_map<char32_t, std::uint8_t> classes_;
  std::unordered_map<char32_t, CanonicalPair> decompositions_;
  std::unordered_map<std::uint64_t, char32_t> compositions_;
  std::vector<bool> joins_ = std::vector<bool>(kLastCodePoint + 1);
  std::vector<bool> unstable_;
};

const Tables& tables() {
  static const Tables kTables;
  return kTables;
}

void append_utf8(char32_t c, std::string& out) {
  const auto put = [&](char32_t bits) { out.push_back(static_cast<char>(bits)); };
  if (c < 0x80) return put(c);
  if (c < 0x800) {
    put(0xC0 | c >> 6);
  } else {
    if (c < 0x10000) {
      put(0xE0 | c >> 12);
    } else {
      put(0xF0 | c >> 18);
      put(0x80 | (c >> 12 & 0x3F));
    }
    put(0x80 | (c >> 6 & 0x3F));
  }
  put(0x80 | (c & 0x3F));
}

// A code point with those that join it: decomposed, marks in the order of their classes, composed.
std::string normalize_sequence(std::string_view sequence) {
  const Tables& known = tables();
  std::u32string parts;
  for (std::size_t at = 0; at < sequence.size();) {
    const DecodedCodePoint point = decode_code_point(sequence, at);
    known.decompose(point.value, parts);
    at += point.length;
  }
  for (auto begin = parts.begin(); begin != parts.end();) {
    const auto end = std::find_if(begin, parts.end(), [&](char32_t c) { return known.combining_class(c) == 0; });
    std::stable_sort(begin, end,
                     [&](char32_t a, char32_t b) { return known.combining_class(a) < known.combining_class(b); });
    begin = end == parts.end() ? end : end + 1;
  }
  std::u32string composed;
  std::size_t starter = std::u32string::npos;
  int last_class = 0;  // of the latest mark that stayed behind the starter; a mark is blocked by one of its class
  for (const char32_t c : parts) {
    const int own_class = known.combining_class(c);
    const bool adjacent = starter != std::u32string::npos && starter + 1 == composed.size();
    if (starter != std::u32string::npos && (adjacent || last_class < own_class)) {
      if (const char32_t whole = known.compose(composed[starter], c); whole != 0) {
        composed[starter] = whole;
        continue;
      }
    }
    if (own_class == 0) starter = composed.size();
    last_class = own_class;
    composed.push_back(c);
  }
  std::string text;
  for (const char32_t c : composed) append_utf8(c, text);
  return text;
}

bool is_unstable_at(std::string_view text, std::size_t place) {
  return static_cast<unsigned char>(text[place]) >= kFirstUnstableLead &&
         tables().is_unstable(decode_code_point(text, place).value);
}

// The first unstable code point at or behind `place`, or the text's size.
std::size_t find_unstable(std::string_view text, std::size_t place) {
  while (place < text.size() && !is_unstable_at(text, place)) ++place;
  return place;
}

bool joins_at(std::string_view text, std::size_t place) { return tables().joins(decode_code_point(text, place).value); }

std::size_t sequence_end(std::string_view text, std::size_t place) {
  do {
    place += decode_code_point(text, place).length;
  } while (place < text.size() && joins_at(text, place));
  return place;
}

std::size_t code_point_before(std::string_view text, std::size_t place) {
  do {
    --place;
  } while ((static_cast<unsigned char>(text[place]) & 0xC0) == 0x80);
  return place;
}

}  // namespace

std::optional<NormalizedText> to_nfc(std::string_view text) {
  std::optional<NormalizedText> normalized;
  std::size_t copied = 0;  // bytes of the original that the result stands for
  const auto copy_until = [&](std::size_t place) {
    for (; copied < place; ++copied) {
      normalized->text.push_back(text[copied]);
      normalized->origins.push_back({copied, copied + 1});
    }
  };
  for (std::size_t place = find_unstable(text, 0); place < text.size(); place = find_unstable(text, place)) {
    const std::size_t begin = place > copied && joins_at(text, place) ? code_point_before(text, place) : place;
    const std::size_t end = sequence_end(text, begin);
    const std::string changed = normalize_sequence(text.substr(begin, end - begin));
    place = end;
    if (changed == text.substr(begin, end - begin)) continue;
    if (!normalized) normalized.emplace();
    copy_until(begin);
    normalized->text += changed;
    normalized->origins.resize(normalized->text.size(), {begin, end});
    copied = end;
  }
  if (normalized) copy_until(text.size());
  return normalized;
}

}  // namespace nkat::data
