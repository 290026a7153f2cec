// tokenizer.model files damaged everywhere: cut at every byte, bits turned, thousands of random mutations, and the
// files that take the most memory a byte.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "data/text/sentencepiece_model.h"
#include "tests/support/counted_memory.h"
#include "tests/support/mutations.h"
#include "tests/support/tiny_tokenizer.h"

namespace nkat::data {
namespace {

void read(const std::string& bytes) {
  nkat::testing::read_within_memory([](const std::string& file) { parse_sentencepiece_model(file, "tokenizer.model"); },
                                    bytes);
}

TEST(HostileTokenizer, RefusesEveryTruncation) {
  const std::string model = nkat::testing::tiny_model();
  EXPECT_EQ(nkat::testing::refused_truncations(read, model), static_cast<int>(model.size()));
}

TEST(HostileTokenizer, SurvivesBitFlipsInPiecesAndSettings) {
  const std::string model = nkat::testing::tiny_model();
  EXPECT_GT(nkat::testing::refused_bit_flips(read, model, 0, 120), 100);
  EXPECT_GT(nkat::testing::refused_bit_flips(read, model, model.size() - 120), 100);
}

TEST(HostileTokenizer, SurvivesTenThousandMutations) {
  const nkat::testing::MutationCounts counts =
      nkat::testing::survive_mutations(read, nkat::testing::tiny_model(), 10'000);
  RecordProperty("refused", counts.refused);
  EXPECT_EQ(counts.tried, 10'000);
  EXPECT_GT(counts.refused, 8'000);
}

TEST(HostileTokenizer, StaysWithinItsMemoryForTheWorstFiles) {
  std::string many = nkat::testing::tiny_pieces();
  std::string longer = many;
  for (int i = 0; i < (1 << 19) - 300; ++i) {
    many += nkat::testing::proto_bytes(1, nkat::testing::proto_bytes(1, fmt::format("#{}", i)));
    longer += nkat::testing::proto_bytes(1, nkat::testing::proto_bytes(1, fmt::format("seventeen letters{}", i)));
  }
  const std::string end = nkat::testing::tiny_trainer() + nkat::testing::tiny_normalizer();
  EXPECT_NO_THROW(read(many + end));
  EXPECT_NO_THROW(read(longer + end));
  EXPECT_NO_THROW(nkat::testing::complaint_about(read, std::string(1 << 24, '\x0A')));
}

}  // namespace
}  // namespace nkat::data
