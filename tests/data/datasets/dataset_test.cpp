#include "data/datasets/dataset.h"

#include <cstdlib>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/machine.h"
#include "tests/support/message_of.h"
#include "tests/support/mutations.h"
#include "tests/support/tiny_tokenizer.h"

namespace nkat::data {
namespace {

using ::testing::HasSubstr;

class DatasetTest : public ::testing::Test {
 protected:
  DatasetTest()
      : tokenizer_(nkat::testing::write_tiny_tokenizer(folder_)),
        chat_(ChatTemplate::from_model_folder(folder_.path())) {
    cache_ = folder_.path() / "cache";
    setenv("NKAT_CACHE_DIR", cache_.c_str(), 1);
  }
  ~DatasetTest() override { unsetenv("NKAT_CACHE_DIR"); }

  std::string file(const std::string& name, const std::string& lines) { return folder_.write(name, lines).string(); }
  Dataset load(DatasetOptions options) {
    options.vocabulary_size = 311;
    return Dataset(options, tokenizer_, chat_);
  }
  std::string complaint(const DatasetOptions& options) {
    return nkat::testing::message_of([&] { load(options); });
  }
  std::vector<fs::path> caches() const {
    std::vector<fs::path> all;
    for (const auto& entry : fs::directory_iterator(cache_)) all.push_back(entry.path());
    return all;
  }

  nkat::testing::TemporaryFolder folder_;
  fs::path cache_;
  Tokenizer tokenizer_;
  ChatTemplate chat_;
};

const std::string kTwo =
    "{\"prompt\":\"h\",\"completion\":\"hello\",\"label\":\"DENY\"}\n\n{\"text\":\"hello hello\"}\n";

TEST_F(DatasetTest, MarksTargetsOfConversationsAndPlainText) {
  const Dataset data = load({.files = {file("a.jsonl", kTwo)}});
  ASSERT_EQ(data.size(), 2);
  const SampleView chat = data.sample(0);  // <|user|> _ h <|end|> <|assistant|> _hello <|end|> <|endoftext|>
  EXPECT_EQ(chat.length(), 8);
  EXPECT_EQ(chat.token(0), 310);
  EXPECT_EQ(chat.target_count(), 2);
  EXPECT_TRUE(chat.is_target(5));
  EXPECT_TRUE(chat.is_target(6));
  EXPECT_EQ(chat.token(6), 307);
  const SampleView plain = data.sample(1);
  EXPECT_EQ(plain.length(), 2);
  EXPECT_FALSE(plain.is_target(0));
  EXPECT_TRUE(plain.is_target(1));
  EXPECT_THAT(data.describe(1), HasSubstr("a.jsonl:3"));
  const DatasetSummary& summary = data.summary();
  EXPECT_EQ(summary.records, 2);
  EXPECT_EQ(summary.tokens, 10);
  EXPECT_EQ(summary.target_tokens, 3);
  EXPECT_EQ(summary.longest, 8);
  EXPECT_EQ(summary.kinds.at("text"), 1);
  EXPECT_EQ(summary.labels.at("DENY"), 1);
}

TEST_F(DatasetTest, JoinsAndRepeatsFiles) {
  const std::string a = file("a.jsonl", kTwo);
  const std::string b = file("b.jsonl", "{\"text\":\"a a a\"}");
  const Dataset data = load({.files = {a, b + ":3"}});
  ASSERT_EQ(data.size(), 5);
  for (std::int64_t i = 2; i < 5; ++i) EXPECT_THAT(data.describe(i), HasSubstr("b.jsonl:1"));
  EXPECT_THAT(data.describe(1), HasSubstr("a.jsonl:3"));
  EXPECT_EQ(data.summary().records, 3);
  EXPECT_NE(data.summary().sha256, load({.files = {a, b + ":2"}}).summary().sha256);
  EXPECT_THAT(complaint({.files = {a + ":0"}}), HasSubstr("N from 1"));
  EXPECT_THAT(complaint({.files = {a + ":99999999999999999999"}}), HasSubstr("N from 1"));
  const std::string named = file("c:2", kTwo);
  EXPECT_EQ(load({.files = {named}}).size(), 2);
}

TEST_F(DatasetTest, ReadsFromTheCacheTheSecondTime) {
  const DatasetOptions options{.files = {file("a.jsonl", kTwo)}};
  const Dataset first = load(options);
  ASSERT_EQ(caches().size(), 1u);
  const auto made = fs::last_write_time(caches()[0]);
  const Dataset second = load(options);
  EXPECT_EQ(fs::last_write_time(caches()[0]), made);
  EXPECT_EQ(second.summary().sha256, first.summary().sha256);
  EXPECT_EQ(second.summary().labels, first.summary().labels);
  for (std::int64_t i = 0; i < 2; ++i) EXPECT_TRUE(std::ranges::equal(second.sample(i).tokens, first.sample(i).tokens));
}

TEST_F(DatasetTest, MakesADamagedCacheAgain) {
  const DatasetOptions options{.files = {file("a.jsonl", kTwo)}};
  load(options);
  const fs::path cache = caches().at(0);
  std::string bytes = read_file(cache, 1 << 20);
  const std::string good = bytes;
  for (const std::size_t place : {std::size_t{0}, bytes.size() / 2, bytes.size() - 1}) {
    bytes[place] = static_cast<char>(bytes[place] ^ 1);
    folder_.write("cache/" + cache.filename().string(), bytes);
    EXPECT_EQ(load(options).sample(0).token(0), 310);
    EXPECT_EQ(read_file(cache, 1 << 20), good);
  }
  folder_.write("cache/" + cache.filename().string(), "");
  EXPECT_EQ(load(options).size(), 2);
}

TEST_F(DatasetTest, UsesATemporaryFileWhereNoCacheCanBeWritten) {
  setenv("NKAT_CACHE_DIR", "/dev/null/nowhere", 1);
  const Dataset data = load({.files = {file("a.jsonl", kTwo)}});
  EXPECT_EQ(data.size(), 2);
  EXPECT_EQ(data.sample(0).token(0), 310);
}

TEST_F(DatasetTest, CutsDropsOrRefusesOverlongSamples) {
  const std::string a = file("a.jsonl", "{\"prompt\":\"h\",\"completion\":\"hello hello hello\"}\n" + kTwo);
  const Dataset cut = load({.files = {a}, .max_sequence_length = 8});
  EXPECT_EQ(cut.summary().truncated, 1);
  EXPECT_EQ(cut.sample(0).length(), 8);
  const Dataset dropped = load({.files = {a}, .max_sequence_length = 8, .overlong = Overlong::kDrop});
  EXPECT_EQ(dropped.summary().dropped_overlong, 1);
  EXPECT_EQ(dropped.size(), 2);
  EXPECT_THAT(complaint({.files = {a}, .max_sequence_length = 8, .overlong = Overlong::kError}),
              HasSubstr("a.jsonl:1: expected at most 8 tokens, found 10"));
  // Cut so short that no answer is left.
  const Dataset short_ones = load({.files = {a}, .max_sequence_length = 5});
  EXPECT_EQ(short_ones.summary().dropped_without_target, 2);
  EXPECT_EQ(short_ones.size(), 1);
}

TEST_F(DatasetTest, RefusesAFileWithoutTargets) {
  EXPECT_THAT(complaint({.files = {file("a.jsonl", "")}}), HasSubstr("no record leaves a token to learn: 0 records"));
  EXPECT_THAT(complaint({.files = {file("b.jsonl", R"({"messages":[{"role":"user","content":"u"}]})")}}),
              HasSubstr("1 dropped without a target"));
}

TEST_F(DatasetTest, CountsBadRecordsAgainstTheLimit) {
  const std::string a = file("a.jsonl", "nope\n" + kTwo + "{}\n");
  EXPECT_THAT(complaint({.files = {a}}), HasSubstr("a.jsonl:1: not valid JSON"));
  EXPECT_THAT(complaint({.files = {a}, .max_bad_records = 1}), HasSubstr("2 bad records, at most 1"));
  EXPECT_EQ(load({.files = {a}, .max_bad_records = 2}).summary().bad_records, 2);
  // From the cache as well, and over all files together.
  EXPECT_THAT(complaint({.files = {a}, .max_bad_records = 1}), HasSubstr("a.jsonl:5"));
  EXPECT_THAT(complaint({.files = {a, a}, .max_bad_records = 3}), HasSubstr("4 bad records, at most 3"));
}

TEST_F(DatasetTest, RefusesIdsThatTheModelDoesNotHave) {
  const DatasetOptions options{.files = {file("a.jsonl", kTwo)}, .vocabulary_size = 310};
  EXPECT_THAT(nkat::testing::complaint_about([&](const std::string&) { Dataset(options, tokenizer_, chat_); }, ""),
              HasSubstr("gives id 310, the model has 310"));
}

TEST_F(DatasetTest, ReadsAddedTokensInContentAsAsked) {
  const std::string a = file("a.jsonl", R"({"text":"hello<|end|>hello"})");
  EXPECT_GT(load({.files = {a}}).sample(0).length(), 3);
  EXPECT_EQ(load({.files = {a}, .special_tokens = AddedTokens::kControl}).sample(0).length(), 3);
}

// 20,000 samples of 1,000 tokens are 80 MB of tokens; held in memory they would show in RssAnon, mapped they don't. The
// index takes 0.3 MB; the bound leaves room for buffers and for what malloc keeps.
TEST_F(DatasetTest, KeepsTokensOutOfTheHeap) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "the address sanitizer keeps freed memory, so RssAnon shows nothing";
#endif
  std::string lines;
  for (int i = 0; i < 20'000; ++i) lines += fmt::format("{{\"text\":\"{}{}\"}}\n", std::string(990, 'a'), i);
  const std::string path = file("big.jsonl", lines);
  lines = std::string();
  trim_heap();
  const std::uint64_t before = process_memory().resident_anonymous_bytes;
  const Dataset data = load({.files = {path}});
  ASSERT_EQ(data.size(), 20'000);
  std::int64_t targets = 0;
  for (std::int64_t i = 0; i < data.size(); ++i) targets += data.sample(i).target_count();
  EXPECT_EQ(targets, data.summary().target_tokens);
  EXPECT_GT(data.summary().tokens * 4, 75'000'000);
  EXPECT_LT(process_memory().resident_anonymous_bytes, before + (std::uint64_t{12} << 20));
}

}  // namespace
}  // namespace nkat::data
