#include "data/text/llama_cpp/known_hashes.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "core/files/sha256.h"

namespace nkat::data {
namespace {

TEST(KnownHashes, AreSortedAndEachOnce) {
  const auto hashes = known_hashes();
  EXPECT_GT(hashes.size(), 80u);
  EXPECT_TRUE(std::ranges::is_sorted(hashes, {}, &KnownHash::sha256));
  EXPECT_EQ(std::ranges::adjacent_find(hashes, {}, &KnownHash::sha256), hashes.end());
  for (const KnownHash& one : hashes) EXPECT_EQ(one.sha256.size(), 64u) << one.name;
}

// By chkhsh of get_vocab_base_pre(): the last row of one hash counts there.
TEST(KnownHashes, HaveTheConvertersNames) {
  const auto name_of = [](std::string_view hash) {
    return std::ranges::find(known_hashes(), hash, &KnownHash::sha256)->name;
  };
  EXPECT_EQ(name_of("855059429035d75a914d1eda9f10a876752e281a054a7a3d421ef0533e5b6249"), "smollm");
  EXPECT_EQ(name_of("0ef9807a4087ebef797fc749390439009c3b9eda9ad1a097abbe738f486c01e5"), "llama-bpe");
  EXPECT_EQ(name_of("b6dc8df998e1cfbdc4eac8243701a65afe638679230920b50d6f17d81c098166"), "olmo");
}

// The hash is that of Python's string chktxt.
TEST(KnownHashes, TheCheckTextIsTheConverters) {
  EXPECT_EQ(sha256_hex(std::string(pre_tokenizer_check_text())),
            "a36179c1e2b1cfcfbfad1dc779addad2ffc778201e4cf0d538bddeafa2c526da");
}

}  // namespace
}  // namespace nkat::data
