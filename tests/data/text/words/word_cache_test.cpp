#include "data/text/words/word_cache.h"

#include <gtest/gtest.h>

namespace nkat::data {
namespace {

TEST(WordCache, FindsWhatWasPutInLast) {
  WordCache cache;
  EXPECT_FALSE(cache.find("word"));
  EXPECT_FALSE(cache.find(""));
  const std::vector<WordToken> tokens = {{7, 2}, {9, 4}};
  cache.insert("word", tokens);
  ASSERT_TRUE(cache.find("word"));
  EXPECT_EQ(cache.find("word")->size(), 2u);
  EXPECT_EQ((*cache.find("word"))[1].id, 9);
  EXPECT_FALSE(cache.find("words"));
  cache.insert("word", std::span(tokens).first(1));
  EXPECT_EQ(cache.find("word")->size(), 1u);
}

TEST(WordCache, KeepsNoLongWords) {
  WordCache cache;
  const std::string word(WordCache::kLongestWord + 1, 'a');
  cache.insert(word, std::vector<WordToken>{{1, 1}});
  EXPECT_FALSE(cache.find(word));
}

TEST(WordCache, AnswersRightlyHoweverManyWordsComeAndGo) {
  WordCache cache;
  for (int i = 0; i < 1'000'000; ++i) {
    const std::string word = "word number " + std::to_string(i);
    cache.insert(word, std::vector<WordToken>{{i, 1}});
    ASSERT_EQ(cache.find(word)->front().id, i);
    const auto older = cache.find("word number " + std::to_string(i / 2));
    if (older) {
      ASSERT_EQ(older->front().id, i / 2);
    }
  }
}

}  // namespace
}  // namespace nkat::data
