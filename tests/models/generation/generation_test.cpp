#include "models/generation/generation.h"

#include <algorithm>

#include <ATen/ops/log.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/tiny_model.h"
#include "tests/support/tolerance.h"

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
  const ModelConfig config = tiny_config();
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
  ModelConfig config = tiny_config();
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
  const ModelConfig config = tiny_config();
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
  const ModelConfig config = tiny_config();
  const Decoder decoder = tiny_decoder(config, at::kFloat);
  SequenceDecoder sequence(decoder, {});
  const Generation generation =
      generate(sequence, random_tokens(config, 60), {.max_new_tokens = 100}, [](std::int32_t) {});
  EXPECT_EQ(generation.stop, StopReason::kContextFull);
  EXPECT_EQ(generation.tokens.size(), 4u);
}

TEST(Generate, RefusesPromptsThatTheModelCannotTake) {
  const ModelConfig config = tiny_config();
  const Decoder decoder = tiny_decoder(config, at::kFloat);
  SequenceDecoder sequence(decoder, {});
  const auto prompt_with = [&](const Tokens& prompt) { generate(sequence, prompt, {}, [](std::int32_t) {}); };
  EXPECT_THAT([&] { prompt_with({}); }, ThrowsMessage<DataError>(HasSubstr("empty")));
  EXPECT_THAT([&] { prompt_with({1, 50}); }, ThrowsMessage<DataError>(HasSubstr("token 50")));
  EXPECT_THAT([&] { prompt_with(random_tokens(config, 64)); }, ThrowsMessage<DataError>(HasSubstr("64 tokens")));
}

}  // namespace

namespace {

using namespace nkat::testing;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;
using Tokens = std::vector<std::int32_t>;

// The longrope boundary of the tiny model is at 16 tokens: these begin below it, at it and above, and all cross or pass
// it on their way.
const std::vector<std::int64_t> kLengths = {1, 3, 15, 16, 17, 9, 30, 2, 14, 5, 40, 8};

std::vector<Tokens> mixed_prompts(const ModelConfig& config) {
  std::vector<Tokens> prompts;
  for (const std::int64_t length : kLengths) prompts.push_back(random_tokens(config, length));
  return prompts;
}

std::vector<at::Tensor> random_blocks(const ModelConfig& config, at::ScalarType type) {
  const at::Tensor identity = at::eye(8, type);
  return {at::Tensor(), identity + 0.3 * at::randn({config.hidden_size / 8, 8, 8}, type)};
}

Tokens generated_alone(const Decoder& decoder, const std::vector<at::Tensor>& blocks, const Tokens& prompt,
                       std::int64_t count) {
  SequenceDecoder sequence(decoder, blocks);
  return generate(sequence, prompt, {.max_new_tokens = count}, [](std::int32_t) {}).tokens;
}

class BatchGeneration : public ::testing::TestWithParam<std::optional<std::int64_t>> {
 protected:
  ModelConfig config_ = [] {
    ModelConfig config = tiny_config();
    config.sliding_window = GetParam();
    return config;
  }();
};

// Float64 leaves no near ties: the tokens must be equal.
TEST_P(BatchGeneration, WritesTheTokensOfEachPromptAlone) {
  const Decoder decoder = tiny_decoder(config_, at::kDouble);
  const std::vector<at::Tensor> blocks = random_blocks(config_, at::kDouble);
  const std::vector<Tokens> prompts = mixed_prompts(config_);
  for (const std::int64_t width : {1, 3, 32}) {
    const std::vector<Generation> answers =
        generate_batch(decoder, blocks, prompts, {.max_new_tokens = 20, .max_sequences = width, .cache_tokens = 10000});
    for (std::size_t i = 0; i < prompts.size(); ++i) {
      EXPECT_EQ(answers[i].tokens, generated_alone(decoder, blocks, prompts[i], 20)) << "prompt " << i;
    }
  }
}

// What differs is the number of rows of a matrix product, so the bound is that of float32 itself: as good as the
// sequence alone, both against float64.
TEST_P(BatchGeneration, LogitsAreAsGoodAsThoseOfTheSequenceAlone) {
  const Decoder exact = tiny_decoder(config_, at::kDouble), decoder = tiny_decoder(config_, at::kFloat);
  const std::vector<Tokens> prompts = mixed_prompts(config_);
  BatchDecoder batch(decoder, {}, {.slots = static_cast<std::int64_t>(prompts.size()), .rows_per_pass = 64});
  std::vector<BatchDecoder::Request> requests;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    requests.push_back({.slot = static_cast<std::int64_t>(i), .tokens = prompts[i]});
  }
  const at::Tensor logits = batch.next_logits(requests);
  std::vector<at::Tensor> alone, reference;
  for (const Tokens& prompt : prompts) {
    alone.push_back(SequenceDecoder(decoder, {}).next_logits(prompt));
    reference.push_back(SequenceDecoder(exact, {}).next_logits(prompt));
  }
  EXPECT_TRUE(is_as_good_as(logits, at::stack(alone), at::stack(reference), kValueFactor));
}

INSTANTIATE_TEST_SUITE_P(Windows, BatchGeneration, ::testing::Values(std::nullopt, 7),
                         [](const auto& test) { return test.param ? "SlidingWindow" : "NoWindow"; });

TEST(BatchGenerationRoom, APromptLeavesAtItsEndTokenAndTheNextTakesItsPlace) {
  ModelConfig config = tiny_config();
  const std::vector<Tokens> prompts = mixed_prompts(config);
  const Tokens free_run = generated_alone(tiny_decoder(config, at::kDouble), {}, prompts[0], 8);
  config.end_tokens = {free_run[3]};
  const Decoder decoder = tiny_decoder(config, at::kDouble);
  std::vector<BatchProgress> seen;
  const std::vector<Generation> answers = generate_batch(
      decoder, {}, prompts,
      {.max_new_tokens = 8, .max_sequences = 4, .cache_tokens = 10000, .progress = [&](const BatchProgress& progress) {
         seen.push_back(progress);
       }});
  EXPECT_EQ(answers[0].stop, StopReason::kEndToken);
  EXPECT_EQ(answers[0].tokens.back(), free_run[3]);
  std::int64_t tokens = 0;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    EXPECT_EQ(answers[i].tokens, generated_alone(decoder, {}, prompts[i], 8)) << "prompt " << i;
    tokens += static_cast<std::int64_t>(answers[i].tokens.size());
  }
  ASSERT_FALSE(seen.empty());
  EXPECT_EQ(seen.back().finished, static_cast<std::int64_t>(prompts.size()));
  EXPECT_EQ(seen.back().new_tokens, tokens);
  EXPECT_TRUE(std::ranges::is_sorted(seen, {}, &BatchProgress::finished));
  // Always full but at the end: never more passes than four sequences at a time need.
  EXPECT_LE(static_cast<std::int64_t>(seen.size()), tokens / 4 + 8);
}

TEST(BatchGenerationRoom, CachesKeepToTheirTokensAndALargePromptGoesAlone) {
  const ModelConfig config = tiny_config();
  const Decoder decoder = tiny_decoder(config, at::kFloat);
  const std::vector<Tokens> prompts(6, random_tokens(config, 10));
  const auto passes = [&](std::int64_t cache_tokens) {
    std::int64_t count = 0;
    generate_batch(
        decoder, {}, prompts,
        {.max_new_tokens = 5, .max_sequences = 32, .cache_tokens = cache_tokens, .progress = [&](const BatchProgress&) {
           ++count;
         }});
    return count;
  };
  EXPECT_EQ(passes(90), 5);   // 6 x 15 tokens: all at once
  EXPECT_EQ(passes(89), 10);  // five, then one
  EXPECT_EQ(passes(30), 15);  // two at a time
  EXPECT_EQ(passes(0), 30);   // one at a time
}

TEST(BatchGenerationRoom, StopsWhereTheModelsPositionsEnd) {
  const ModelConfig config = tiny_config();
  const Decoder decoder = tiny_decoder(config, at::kFloat);
  const auto answers = generate_batch(decoder, {}, {random_tokens(config, 60), random_tokens(config, 5)},
                                      {.max_new_tokens = 20, .cache_tokens = 1000});
  EXPECT_EQ(answers[0].stop, StopReason::kContextFull);
  EXPECT_EQ(answers[0].tokens.size(), 4u);
  EXPECT_EQ(answers[1].stop, StopReason::kMaxNewTokens);
}

TEST(BatchGenerationRoom, RefusesAPromptBeforeComputingAny) {
  const ModelConfig config = tiny_config();
  const Decoder decoder = tiny_decoder(config, at::kFloat);
  EXPECT_THAT([&] { generate_batch(decoder, {}, {{1}, {}}, {}); }, ThrowsMessage<DataError>(HasSubstr("empty")));
  EXPECT_THAT([&] { generate_batch(decoder, {}, {{1}, {50}}, {}); }, ThrowsMessage<DataError>(HasSubstr("token 50")));
  EXPECT_TRUE(generate_batch(decoder, {}, {}, {}).empty());
}

TEST(BatchDecoder, ASlotThatWasReleasedServesAnotherSequence) {
  const ModelConfig config = tiny_config();
  const Decoder decoder = tiny_decoder(config, at::kDouble);
  const Tokens first = random_tokens(config, 12), second = random_tokens(config, 4);
  BatchDecoder batch(decoder, {}, {.slots = 2});
  batch.reserve(1, 20);
  batch.next_logits({{.slot = 1, .tokens = first}});
  batch.release(1);
  const at::Tensor logits = batch.next_logits({{.slot = 1, .tokens = second}}).squeeze(0);
  EXPECT_TRUE(at::equal(logits, SequenceDecoder(decoder, {}).next_logits(second)));
}

TEST(CacheBytes, AreKeysAndValuesOfAllLayers) {
  // 2 parts x 2 layers x 2 key-value heads x 8 channels x 4 bytes
  EXPECT_EQ(cache_bytes_per_token(tiny_decoder(tiny_config(), at::kFloat)), 256);
  EXPECT_GT(free_cache_tokens(tiny_decoder(tiny_config(), at::kFloat)), 0);
}

}  // namespace

}  // namespace nkat::models
