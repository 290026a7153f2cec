#include "data/text/words/byte_pair.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <optional>
#include <queue>

#include <fmt/format.h>

#include "core/error.h"
#include "core/message.h"
#include "core/utf8.h"
#include "data/text/words/byte_alphabet.h"
#include "data/text/words/space_mark.h"

namespace nkat::data {
namespace {

constexpr std::int32_t kNoPiece = -1;
// Up to so many symbols looking at every pair each time is faster than keeping them sorted.
constexpr std::size_t kFew = 48;
// Longer pieces, which no training makes, are never put together by score: trying every cut would take minutes.
constexpr std::size_t kLongestScored = 256;

bool is_mergeable(const Piece& piece) {
  return !piece.text.empty() && (piece.type == PieceType::kNormal || piece.type == PieceType::kUserDefined);
}

std::uint64_t key_of(std::int32_t left, std::int32_t right) {
  return std::uint64_t{static_cast<std::uint32_t>(left)} << 32 | static_cast<std::uint32_t>(right);
}

std::size_t place_of(std::uint64_t key, std::size_t slots) {
  return static_cast<std::size_t>((key * 0x9E3779B97F4A7C15) >> 32) & (slots - 1);
}

// The one code point that the text is; nothing if it is longer.
std::optional<char32_t> single_code_point(std::string_view text) {
  const DecodedCodePoint point = decode_code_point(text, 0);
  return point.length == text.size() && point.value != kInvalidCodePoint ? std::optional(point.value) : std::nullopt;
}

}  // namespace

BytePairMerger::BytePairMerger(const TokenizerModel& model)
    : byte_level_(model.kind == VocabularyKind::kByteLevel),
      keeps_gaps_(model.like_llama_cpp),
      pieces_(static_cast<std::int32_t>(model.pieces.size())) {
  bytes_.fill(kNoPiece);
  if (byte_level_) {
    read_bytes(model);
  } else {
    read_characters(model);
  }
  if (model.merges_by_score) {
    read_scores(model);
    return;
  }
  Ids ids;
  for (std::int32_t id = 0; id < pieces_; ++id) ids.emplace(model.pieces[static_cast<std::size_t>(id)].text, id);
  read_merges(model, ids);
  if (!model.ignore_merges) return;
  for (const auto& [text, id] : ids) {
    if (const auto bytes = bytes_of_spelling(text); bytes && !bytes->empty()) whole_words_.emplace(*bytes, id);
  }
}

void BytePairMerger::read_bytes(const TokenizerModel& model) {
  for (std::int32_t id = 0; id < pieces_; ++id) {
    const auto bytes = bytes_of_spelling(model.pieces[static_cast<std::size_t>(id)].text);
    if (bytes && bytes->size() == 1) bytes_[static_cast<unsigned char>((*bytes)[0])] = id;
  }
}

void BytePairMerger::read_characters(const TokenizerModel& model) {
  for (std::int32_t id = 0; id < pieces_; ++id) {
    const Piece& piece = model.pieces[static_cast<std::size_t>(id)];
    if (piece.type == PieceType::kByte) {
      const std::string_view digits =
          std::string_view(piece.text).substr(std::min<std::size_t>(3, piece.text.size()), 2);
      for (std::size_t byte = 0; byte < 256; ++byte) {
        if (fmt::format("{:02X}", byte) == digits) bytes_[byte] = id;
      }
    }
    const auto c = is_mergeable(piece) ? single_code_point(piece.text) : std::nullopt;
    if (!c) continue;
    if (*c >= characters_.size()) characters_.resize(*c + 1, kNoPiece);
    characters_[*c] = id;
  }
  for (std::size_t byte = 0; byte < 256; ++byte) {
    if (bytes_[byte] == kNoPiece)
      throw FormatError(fmt::format("{}: the byte piece <0x{:02X}> is missing", model.source, byte));
  }
}

void BytePairMerger::read_merges(const TokenizerModel& model, const Ids& ids) {
  reserve_pairs(model.merges.size());
  for (std::size_t rank = 0; rank < model.merges.size(); ++rank) {
    const Merge& merge = model.merges[rank];
    if (std::min(merge.left, merge.right) < 0 || std::max(merge.left, merge.right) >= pieces_)
      throw FormatError(fmt::format("{}: merge {} joins ids that are no pieces", model.source, rank));
    const Piece& left = model.pieces[static_cast<std::size_t>(merge.left)];
    const Piece& right = model.pieces[static_cast<std::size_t>(merge.right)];
    const auto merged = ids.find(left.text + right.text);
    if (merged == ids.end() || left.type == PieceType::kByte || right.type == PieceType::kByte) {
      throw FormatError(
          fmt::format("{}: merge {}: {}", model.source, rank,
                      expected("two pieces whose text joined is a piece",
                               fmt::format("'{}' and '{}'", ellipsize(left.text), ellipsize(right.text)))));
    }
    add_pair(merge.left, merge.right, {static_cast<std::uint32_t>(rank), merged->second});
  }
}

// Every way to put a piece together is a merge; its rank is the place of the piece's score. A character that is no piece
// becomes a symbol where one begins or ends with it.
void BytePairMerger::read_scores(const TokenizerModel& model) {
  std::unordered_map<std::string_view, std::int32_t> ids;
  std::vector<float> scores;
  for (std::int32_t id = 0; id < pieces_; ++id) {
    const Piece& piece = model.pieces[static_cast<std::size_t>(id)];
    if (!is_mergeable(piece)) continue;
    if (std::isnan(piece.score)) throw FormatError(fmt::format("{}: piece {} has the score NaN", model.source, id));
    ids.emplace(piece.text, id);
    scores.push_back(piece.score);
  }
  std::ranges::sort(scores, std::greater());
  scores.erase(std::unique(scores.begin(), scores.end()), scores.end());
  std::int32_t symbols = pieces_;
  const auto symbol_of = [&](std::string_view text) {
    if (const auto found = ids.find(text); found != ids.end()) return found->second;
    const auto c = single_code_point(text);
    if (!c) return kNoPiece;
    if (*c >= characters_.size()) characters_.resize(*c + 1, kNoPiece);
    if (characters_[*c] == kNoPiece) characters_[*c] = symbols++;
    return characters_[*c];
  };
  struct Made {
    std::int32_t left, right;
    Pair pair;
  };
  std::vector<Made> made;
  for (const auto& [text, id] : ids) {
    const auto rank = static_cast<std::uint32_t>(
        std::ranges::lower_bound(scores, model.pieces[static_cast<std::size_t>(id)].score, std::greater()) -
        scores.begin());
    if (text.size() > kLongestScored) continue;
    for (std::size_t cut = decode_code_point(text, 0).length; cut < text.size();
         cut += decode_code_point(text, cut).length) {
      const std::int32_t left = symbol_of(text.substr(0, cut));
      const std::int32_t right = left == kNoPiece ? kNoPiece : symbol_of(text.substr(cut));
      if (right != kNoPiece) made.push_back({left, right, {rank, id}});
    }
  }
  reserve_pairs(made.size());
  for (const Made& one : made) add_pair(one.left, one.right, one.pair);
}

void BytePairMerger::reserve_pairs(std::size_t count) { pairs_.assign(std::bit_ceil(2 * count + 2), {}); }

void BytePairMerger::add_pair(std::int32_t left, std::int32_t right, Pair pair) {
  const std::uint64_t key = key_of(left, right);
  std::size_t place = place_of(key, pairs_.size());
  while (pairs_[place].symbols != kFree && pairs_[place].symbols != key) place = (place + 1) & (pairs_.size() - 1);
  pairs_[place] = {key, pair};
}

MergeMemory::Pair BytePairMerger::find_pair(std::int32_t left, std::int32_t right) const {
  const std::uint64_t key = key_of(left, right);
  for (std::size_t place = place_of(key, pairs_.size());; place = (place + 1) & (pairs_.size() - 1)) {
    // Two characters without a piece look like a free place.
    if (pairs_[place].symbols == kFree) return kNoPair;
    if (pairs_[place].symbols == key) return pairs_[place].pair;
  }
}

std::span<const WordToken> BytePairMerger::merge(std::string_view word, MergeMemory& memory) const {
  if (const auto known = memory.cache.find(word)) return *known;
  memory.tokens.clear();
  const auto whole = whole_words_.empty() ? whole_words_.end() : whole_words_.find(std::string(word));
  if (whole != whole_words_.end()) {
    memory.tokens.push_back({whole->second, static_cast<std::uint32_t>(word.size())});
  } else {
    split_into_symbols(word, memory);
    if (memory.ids.size() <= kFew) {
      merge_few(memory);
    } else {
      merge_many(memory);
    }
    put_tokens(word, memory);
  }
  memory.cache.insert(word, memory.tokens);
  return memory.tokens;
}

void BytePairMerger::split_into_symbols(std::string_view word, MergeMemory& memory) const {
  NKAT_INVARIANT(word.size() < UINT32_MAX);
  memory.ids.clear();
  memory.ends.clear();
  for (std::size_t place = 0; place < word.size();) {
    std::int32_t id = kNoPiece;
    if (byte_level_) {
      id = bytes_[static_cast<unsigned char>(word[place++])];
      if (id == kNoPiece && !keeps_gaps_) continue;  // as Hugging Face does: the byte is left out
      if (id == kNoPiece) id = pieces_;
    } else {
      const DecodedCodePoint point = decode_valid_code_point(word, place);
      const char32_t c = point.value == ' ' ? kSpaceMark : point.value;
      id = c < characters_.size() ? characters_[c] : kNoPiece;
      place += point.length;
    }
    memory.ids.push_back(id);
    memory.ends.push_back(static_cast<std::uint32_t>(place));
  }
}

void BytePairMerger::merge_few(MergeMemory& memory) const {
  std::vector<std::int32_t>& ids = memory.ids;
  std::vector<std::uint32_t>& ends = memory.ends;
  std::vector<Pair>& pairs = memory.pairs;
  pairs.clear();
  for (std::size_t i = 0; i + 1 < ids.size(); ++i) pairs.push_back(find_pair(ids[i], ids[i + 1]));
  while (!pairs.empty()) {
    const auto best = std::ranges::min_element(pairs, {}, &Pair::rank);
    if (best->rank == kNoPair.rank) return;
    const auto i = best - pairs.begin();
    ids[static_cast<std::size_t>(i)] = best->merged;
    ids.erase(ids.begin() + i + 1);
    ends.erase(ends.begin() + i);
    pairs.erase(best);
    const auto at = static_cast<std::size_t>(i);
    if (at > 0) pairs[at - 1] = find_pair(ids[at - 1], ids[at]);
    if (at + 1 < ids.size()) pairs[at] = find_pair(ids[at], ids[at + 1]);
  }
}

// The same with the pairs in a heap: symbols are linked, and an entry whose pair has changed since is passed over.
void BytePairMerger::merge_many(MergeMemory& memory) const {
  std::vector<std::int32_t>& ids = memory.ids;
  std::vector<std::uint32_t>& ends = memory.ends;
  std::vector<Pair>& pairs = memory.pairs;
  std::vector<std::uint32_t>& next = memory.next;
  std::vector<std::uint32_t>& previous = memory.previous;
  const auto count = static_cast<std::uint32_t>(ids.size());
  pairs.assign(count, kNoPair);
  next.resize(count);
  previous.resize(count);
  using Candidate = std::uint64_t;  // rank, then place
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
  const auto look_at = [&](std::uint32_t i) {
    pairs[i] = next[i] == count ? kNoPair : find_pair(ids[i], ids[next[i]]);
    if (pairs[i].rank != kNoPair.rank) queue.push(Candidate{pairs[i].rank} << 32 | i);
  };
  for (std::uint32_t i = 0; i < count; ++i) {
    next[i] = i + 1;
    previous[i] = i - 1;
  }
  for (std::uint32_t i = 0; i < count; ++i) look_at(i);
  while (!queue.empty()) {
    const auto i = static_cast<std::uint32_t>(queue.top());
    const auto rank = static_cast<std::uint32_t>(queue.top() >> 32);
    queue.pop();
    if (pairs[i].rank != rank) continue;
    const std::uint32_t joined = next[i];
    ids[i] = pairs[i].merged;
    ends[i] = ends[joined];
    pairs[joined] = kNoPair;
    next[i] = next[joined];
    if (next[i] != count) previous[next[i]] = i;
    if (i != 0) look_at(previous[i]);
    look_at(i);
  }
  std::uint32_t kept = 0;
  for (std::uint32_t i = 0; i < count; i = next[i]) {
    ids[kept] = ids[i];
    ends[kept++] = ends[i];
  }
  ids.resize(kept);
  ends.resize(kept);
}

void BytePairMerger::put_tokens(std::string_view word, MergeMemory& memory) const {
  std::uint32_t begin = 0;
  for (std::size_t i = 0; i < memory.ids.size(); ++i) {
    const std::uint32_t end = memory.ends[i];
    if (memory.ids[i] >= 0 && memory.ids[i] < pieces_) {
      memory.tokens.push_back({memory.ids[i], end});
    } else if (!byte_level_ && word[begin] == ' ') {
      for (const char byte : kSpaceMarkText) memory.tokens.push_back({bytes_[static_cast<unsigned char>(byte)], end});
    } else if (!byte_level_) {
      for (std::uint32_t place = begin; place < end; ++place)
        memory.tokens.push_back({bytes_[static_cast<unsigned char>(word[place])], place + 1});
    }
    begin = end;
  }
}

}  // namespace nkat::data
