#include "data/text/words/byte_pair.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/random.h"
#include "data/text/words/byte_alphabet.h"
#include "tests/support/message_of.h"

namespace nkat::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// The 256 bytes by their ids, then the merged pieces.
TokenizerModel byte_level(const std::vector<std::pair<std::int32_t, std::int32_t>>& merges) {
  TokenizerModel model;
  model.source = "t";
  model.kind = VocabularyKind::kByteLevel;
  for (const std::string& text : byte_alphabet()) model.pieces.push_back({text});
  for (const auto& [left, right] : merges) {
    model.pieces.push_back(
        {model.pieces[static_cast<std::size_t>(left)].text + model.pieces[static_cast<std::size_t>(right)].text});
    model.merges.push_back({left, right});
  }
  return model;
}

std::vector<std::int32_t> ids(const BytePairMerger& merger, std::string_view word) {
  MergeMemory memory;
  std::vector<std::int32_t> result;
  for (const WordToken& token : merger.merge(word, memory)) result.push_back(token.id);
  return result;
}

TEST(BytePairMerger, MergesTheLowestRankFirstAndOfEqualOnesTheLeftmost) {
  const BytePairMerger merger(byte_level({{'b', 'c'}, {'a', 'b'}, {'a', 'a'}, {256, 'd'}}));
  EXPECT_THAT(ids(merger, "abcd"), ElementsAre('a', 259));
  EXPECT_THAT(ids(merger, "abab"), ElementsAre(257, 257));
  EXPECT_THAT(ids(merger, "aaa"), ElementsAre(258, 'a'));
  EXPECT_THAT(ids(merger, ""), ElementsAre());
}

TEST(BytePairMerger, SaysWhereEachTokenEnds) {
  const BytePairMerger merger(byte_level({{'b', 'c'}}));
  MergeMemory memory;
  const auto tokens = merger.merge("abcd", memory);
  ASSERT_EQ(tokens.size(), 3u);
  EXPECT_EQ(tokens[0].end, 1u);
  EXPECT_EQ(tokens[1].end, 3u);
  EXPECT_EQ(tokens[2].end, 4u);
}

// The rule itself, without any of the shortcuts.
std::vector<std::int32_t> merge_slowly(const TokenizerModel& model, std::string_view word) {
  std::vector<std::int32_t> symbols;
  for (const char c : word) symbols.push_back(static_cast<unsigned char>(c));
  while (true) {
    std::size_t best = model.merges.size(), at = 0;
    for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
      for (std::size_t rank = 0; rank < best; ++rank) {
        if (model.merges[rank].left != symbols[i] || model.merges[rank].right != symbols[i + 1]) continue;
        best = rank;
        at = i;
      }
    }
    if (best == model.merges.size()) return symbols;
    symbols[at] = 256 + static_cast<std::int32_t>(best);
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(at) + 1);
  }
}

TEST(BytePairMerger, MergesLongAndShortWordsByTheSameRule) {
  const TokenizerModel model = byte_level(
      {{'a', 'b'}, {'b', 'a'}, {256, 'a'}, {'a', 'a'}, {257, 257}, {'b', 'b'}, {258, 258}, {259, 'c'}, {'c', 261}});
  const BytePairMerger merger(model);
  RandomStream random(1, "byte-pair");
  for (int round = 0; round < 400; ++round) {
    std::string word;
    for (std::uint64_t length = random.below(200); length > 0; --length) word += "abc"[random.below(3)];
    EXPECT_EQ(ids(merger, word), merge_slowly(model, word)) << word;
  }
}

TEST(BytePairMerger, TakesAWholePieceWhereMergesAreIgnored) {
  TokenizerModel model = byte_level({{'a', 'b'}});
  model.pieces.push_back({"abc"});
  EXPECT_THAT(ids(BytePairMerger(model), "abc"), ElementsAre(256, 'c'));
  model.ignore_merges = true;
  EXPECT_THAT(ids(BytePairMerger(model), "abc"), ElementsAre(257));
}

TEST(BytePairMerger, TakesTimeInProportionToALongWord) {
  const BytePairMerger merger(byte_level({{'a', 'a'}, {256, 256}, {257, 257}}));
  EXPECT_EQ(ids(merger, std::string(1 << 20, 'a')).size(), std::size_t{1} << 17);
}

TEST(BytePairMerger, RefusesMergesThatMakeNoPiece) {
  const auto complaint = [](TokenizerModel model) {
    return nkat::testing::message_of<FormatError>([&] { BytePairMerger{model}; });
  };
  TokenizerModel model = byte_level({{'a', 'b'}});
  model.merges.push_back({'a', 'c'});
  EXPECT_THAT(complaint(model),
              HasSubstr("merge 1: expected two pieces whose text joined is a piece, found 'a' and 'c'"));
  model.merges.back() = {'a', 5000};
  EXPECT_THAT(complaint(model), HasSubstr("no pieces"));
  model.merges.back() = {-1, 'a'};
  EXPECT_THAT(complaint(model), HasSubstr("no pieces"));
  TokenizerModel fallback;
  fallback.source = "t";
  EXPECT_THAT(complaint(fallback), HasSubstr("the byte piece <0x00> is missing"));
}

}  // namespace
}  // namespace nkat::data
