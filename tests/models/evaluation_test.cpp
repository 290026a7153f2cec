#include "models/evaluation.h"

#include <gtest/gtest.h>

#include "tests/support/tiny_model.h"

namespace nkat::models {
namespace {

using namespace nkat::testing;

// In float64 both sides differ by rounding alone: 20 terms of order one, some hundred operations each.
constexpr double kBound = 1e-11;

TEST(SequenceScore, IsTheSumOfLogSoftmaxOverTheScoredTokensAlone) {
  const ModelConfig config = tiny_config();
  const Decoder decoder = tiny_decoder(config, at::kDouble);
  std::vector<ScoredSequence> sequences;
  for (const auto& [length, first] :
       std::vector<std::pair<std::int64_t, std::int64_t>>{{5, 1}, {9, 8}, {20, 13}, {2, 1}}) {
    sequences.push_back({.tokens = random_tokens(config, length), .first = first});
  }
  for (const std::int64_t tokens_per_pass : {1, 15, 2048}) {
    const std::vector<double> scores = log_probabilities(decoder, {}, sequences, {.tokens_per_pass = tokens_per_pass});
    ASSERT_EQ(scores.size(), sequences.size());
    for (std::size_t i = 0; i < sequences.size(); ++i) {
      const std::vector<std::int64_t> ids(sequences[i].tokens.begin(), sequences[i].tokens.end());
      const auto length = static_cast<std::int64_t>(ids.size());
      const at::Tensor logits = decoder.logits(decoder.hidden({at::tensor(ids, at::kLong), {length}}, {}));
      const at::Tensor likely = at::log_softmax(logits, 1);
      double expected = 0.0;
      for (std::int64_t t = sequences[i].first; t < length; ++t) {
        expected += likely[t - 1][ids[static_cast<std::size_t>(t)]].item<double>();
      }
      EXPECT_NEAR(scores[i], expected, kBound) << "sequence " << i;
      EXPECT_LT(scores[i], 0.0);
    }
  }
}

TEST(SequenceScore, ReportsEachPass) {
  const ModelConfig config = tiny_config();
  const Decoder decoder = tiny_decoder(config, at::kFloat);
  const std::vector<ScoredSequence> sequences(5, {.tokens = {1, 2, 3, 4}, .first = 2});
  std::vector<std::int64_t> done;
  log_probabilities(decoder, {}, sequences,
                    {.tokens_per_pass = 8, .progress = [&](std::int64_t now, std::int64_t) { done.push_back(now); }});
  EXPECT_EQ(done, (std::vector<std::int64_t>{2, 4, 5}));
}

}  // namespace
}  // namespace nkat::models
