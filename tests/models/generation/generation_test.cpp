#include "models/generation/generation.h"

#include <ATen/ops/log.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/tiny_model.h"

namespace nkat::models {
namespace {

using namespace nkat::testing;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;
using Tokens = std::vector<std::int32_t>;

std::vector<int> draws(const at::Tensor& logits, const SamplingOptions& options, int count) {
  RandomStream random(7, "test");
  std::vector<int> counts(static_cast<std::size_t>(logits.size(0)), 0);
  for (int i = 0; i < count; ++i) ++counts[static_cast<std::size_t>(choose_token(logits, options, random))];
  return counts;
}

TEST(ChooseToken, TemperatureZeroTakesTheFirstOfTheLikeliest) {
  RandomStream random(1, "test");
  EXPECT_EQ(choose_token(at::tensor({0.5, 2.0, 2.0, 1.0}), {}, random), 1);
}

// 40,000 draws: three standard deviations of a share of one half are 0.0075.
TEST(ChooseToken, DrawsWithTheProbabilitiesOfTheSoftmax) {
  const at::Tensor logits = at::tensor({0.0, std::log(3.0), std::log(2.0)});
  const std::vector<int> counts = draws(logits, {.temperature = 1}, 40000);
  EXPECT_NEAR(counts[0] / 40000.0, 1.0 / 6, 0.0075);
  EXPECT_NEAR(counts[1] / 40000.0, 3.0 / 6, 0.0075);
  const std::vector<int> cold = draws(logits, {.temperature = 0.5}, 40000);  // squares the odds: 1 : 9 : 4
  EXPECT_NEAR(cold[1] / 40000.0, 9.0 / 14, 0.0075);
}

TEST(ChooseToken, TopPKeepsTheSmallestSetThatReachesIt) {
  const at::Tensor logits = at::log(at::tensor({0.1, 0.4, 0.2, 0.3}));
  EXPECT_EQ(draws(logits, {.temperature = 1, .top_p = 0.39}, 1000)[1], 1000);
  const std::vector<int> counts = draws(logits, {.temperature = 1, .top_p = 0.65}, 1000);
  EXPECT_EQ(counts[0] + counts[2], 0);
  EXPECT_GT(counts[3], 0);
}

TEST(Generate, EqualsComputingTheWholeSequenceForEachToken) {
  const Phi3Config config = tiny_config();
  const Decoder decoder = tiny_decoder(config, at::kDouble);
  const Tokens prompt = random_tokens(config, 10);
  SequenceDecoder sequence(decoder, {});
  Tokens streamed;
  const Generation generation =
      generate(sequence, prompt, {.max_new_tokens = 20}, [&](std::int32_t token) { streamed.push_back(token); });
  EXPECT_EQ(generation.stop, StopReason::kMaxNewTokens);
  EXPECT_EQ(generation.tokens, streamed);

  Tokens tokens = prompt;  // 30 tokens at the end: over the longrope boundary at 16
  for (const std::int32_t token : generation.tokens) {
    SequenceDecoder fresh(decoder, {});
    EXPECT_EQ(fresh.next_logits(tokens).argmax().item<std::int64_t>(), token);
    tokens.push_back(token);
  }
}

TEST(Generate, StopsAtAnEndTokenAndDoesNotShowIt) {
  Phi3Config config = tiny_config();
  const Tokens prompt = random_tokens(config, 5);
  const Decoder free_decoder = tiny_decoder(config, at::kFloat);
  SequenceDecoder free_sequence(free_decoder, {});
  const Tokens free_run = generate(free_sequence, prompt, {.max_new_tokens = 8}, [](std::int32_t) {}).tokens;
  config.end_tokens = {free_run[3]};
  const Decoder decoder = tiny_decoder(config, at::kFloat);
  SequenceDecoder sequence(decoder, {});
  Tokens shown;
  const Generation generation =
      generate(sequence, prompt, {.max_new_tokens = 8}, [&](std::int32_t token) { shown.push_back(token); });
  EXPECT_EQ(generation.stop, StopReason::kEndToken);
  EXPECT_EQ(generation.tokens.back(), free_run[3]);
  EXPECT_EQ(shown.size() + 1, generation.tokens.size());
}

TEST(Generate, ASeedGivesTheSameTokensAgain) {
  const Phi3Config config = tiny_config();
  const Decoder decoder = tiny_decoder(config, at::kFloat);
  const auto run = [&](std::uint64_t seed) {
    SequenceDecoder sequence(decoder, {});
    return generate(sequence, {1, 2, 3}, {.max_new_tokens = 20, .temperature = 1, .seed = seed}, [](std::int32_t) {})
        .tokens;
  };
  EXPECT_EQ(run(5), run(5));
  EXPECT_NE(run(5), run(6));
}

TEST(Generate, StopsWhereTheModelsPositionsEnd) {
  const Phi3Config config = tiny_config();
  const Decoder decoder = tiny_decoder(config, at::kFloat);
  SequenceDecoder sequence(decoder, {});
  const Generation generation =
      generate(sequence, random_tokens(config, 60), {.max_new_tokens = 100}, [](std::int32_t) {});
  EXPECT_EQ(generation.stop, StopReason::kContextFull);
  EXPECT_EQ(generation.tokens.size(), 4u);
}

TEST(Generate, RefusesPromptsThatTheModelCannotTake) {
  const Phi3Config config = tiny_config();
  const Decoder decoder = tiny_decoder(config, at::kFloat);
  SequenceDecoder sequence(decoder, {});
  const auto prompt_with = [&](const Tokens& prompt) { generate(sequence, prompt, {}, [](std::int32_t) {}); };
  EXPECT_THAT([&] { prompt_with({}); }, ThrowsMessage<DataError>(HasSubstr("empty")));
  EXPECT_THAT([&] { prompt_with({1, 50}); }, ThrowsMessage<DataError>(HasSubstr("token 50")));
  EXPECT_THAT([&] { prompt_with(random_tokens(config, 64)); }, ThrowsMessage<DataError>(HasSubstr("64 tokens")));
}

}  // namespace
}  // namespace nkat::models
