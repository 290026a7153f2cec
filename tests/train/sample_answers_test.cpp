#include "train/sample_answers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "models/generation/generation.h"
#include "tests/support/message_of.h"
#include "tests/support/tiny_dataset.h"
#include "tests/support/tiny_model.h"
#include "train/memory/tracking_allocator.h"

namespace nkat::train {
namespace {

using ::testing::HasSubstr;
using testing::message_of;

models::ModelConfig config_of_the_tokenizer() {
  models::ModelConfig config = testing::tiny_config();
  config.vocab_size = testing::kTinyVocabulary;
  config.max_position_embeddings = 200;
  return config;
}

class SampleAnswersTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { install_tracking_allocator(); }
  ~SampleAnswersTest() override { set_tracking_allocator_limit(0); }

  std::vector<SamplePrompt> read(const std::string& content) const {
    return read_sample_prompts(folder_.write("prompts.txt", content), text_, config_);
  }
  std::vector<std::string> texts(const std::string& content) const {
    std::vector<std::string> texts;
    for (const SamplePrompt& prompt : read(content)) texts.push_back(prompt.text);
    return texts;
  }
  std::string refusal(const std::string& content) const {
    return message_of<DataError>([&] { read(content); });
  }
  std::vector<SampleAnswer> answers(const std::vector<SamplePrompt>& prompts) const {
    return answer_samples(decoder_, adapter_, text_.tokenizer, prompts, monitor_);
  }
  // As `nkat generate` does it: one prompt at a time.
  std::string alone(const SamplePrompt& prompt) const {
    models::SequenceDecoder sequence(decoder_, adapter_.matrices(at::kCPU));
    std::vector<std::int32_t> tokens;
    models::generate(sequence, prompt.tokens, {.max_new_tokens = kSampleTokens},
                     [&](std::int32_t token) { tokens.push_back(token); });
    return text_.tokenizer.decode(tokens);
  }

  const testing::TemporaryFolder folder_;
  models::ModelConfig config_ = config_of_the_tokenizer();
  models::TextProcessor text_ = models::load_tokenizer_and_template(testing::write_tiny_tokenizer(folder_), config_);
  models::Decoder decoder_ = testing::tiny_decoder(config_, at::kFloat);
  models::Adapter adapter_ = models::init_adapter(config_, {.alpha = 0.5, .weight_std = 0.3, .seed = 3});
  MemoryMonitor monitor_{at::kCPU, 0};
};

using Texts = std::vector<std::string>;

TEST_F(SampleAnswersTest, APromptIsALineAndBlankLinesAreNone) {
  EXPECT_EQ(texts("hello\n\n \t\nall he\n"), (Texts{"hello", "all he"}));
  EXPECT_EQ(texts("hello"), Texts{"hello"});
  EXPECT_EQ(texts("\xEF\xBB\xBFhello\r\n\r\n  こ \r\n"), (Texts{"hello", "  こ "}));
}

TEST_F(SampleAnswersTest, APromptIsAUserTurnOfTheChatTemplate) {
  const auto expected = text_.chat_template.encode(text_.tokenizer, {{.role = data::Role::kUser, .content = "<|end|>"}},
                                                   data::AddedTokens::kText, true);
  EXPECT_EQ(read("<|end|>\n").at(0).tokens, expected.tokens);
}

TEST_F(SampleAnswersTest, SaysWhichLineCannotBeAPrompt) {
  EXPECT_THAT(refusal("hello\n\n\xFF\n"), HasSubstr("prompts.txt:3: expected UTF-8"));
  EXPECT_THAT(refusal("hello\n" + std::string(2000, 'a') + "\n"), HasSubstr("prompts.txt:2: the prompt has"));
  EXPECT_THAT(refusal(" \n\n"), HasSubstr("prompts.txt: expected a prompt a line, found none"));
  std::string many;
  for (std::size_t i = 0; i <= kMostSamplePrompts; ++i) many += "a\n";
  EXPECT_THAT(refusal(many), HasSubstr("at most 100 prompts"));
  many.resize(many.size() - 2);
  EXPECT_EQ(read(many).size(), kMostSamplePrompts);
  EXPECT_FALSE(refusal(std::string(kLargestPromptFile + 1, 'a')).empty());
}

TEST_F(SampleAnswersTest, AnswersAsEachPromptWouldBeAnsweredAlone) {
  std::string content;
  for (int i = 1; i <= 11; ++i) content += std::string(static_cast<std::size_t>(i), 'a') + "\n";  // more than at once
  const auto prompts = read(content);
  const auto found = answers(prompts);
  ASSERT_EQ(found.size(), prompts.size());
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    EXPECT_EQ(found[i].prompt, prompts[i].text);
    EXPECT_EQ(found[i].answer, alone(prompts[i])) << i;
  }
}

TEST_F(SampleAnswersTest, AnAnswerEndsBeforeItsEndToken) {
  const auto prompts = read("hello\n");
  const std::string whole = answers(prompts).at(0).answer;
  models::SequenceDecoder sequence(decoder_, adapter_.matrices(at::kCPU));
  const auto first = static_cast<std::int32_t>(sequence.next_logits(prompts[0].tokens).argmax().item<std::int64_t>());
  config_.end_tokens = {first};
  EXPECT_EQ(answer_samples(testing::tiny_decoder(config_, at::kFloat), adapter_, text_.tokenizer, prompts, monitor_)
                .at(0)
                .answer,
            "");
  EXPECT_NE(whole, "");
}

TEST_F(SampleAnswersTest, TakesFewerAtATimeWithinTheBudgetAndGivesTheMemoryBack) {
  const auto prompts = read("a\naa\naaa\naaaa\n");
  const auto calm = answers(prompts);
  const std::uint64_t before = tracking_allocator_figures().current_bytes;
  const auto needed = [&] {
    reset_tracking_allocator_peak();
    answers(prompts);
    return tracking_allocator_figures().peak_bytes - before;
  };
  const std::uint64_t free = needed();
  const MemoryMonitor tight(at::kCPU, before + free / 2);
  const auto found = answer_samples(decoder_, adapter_, text_.tokenizer, prompts, tight);
  ASSERT_EQ(found.size(), 4U);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(found[i].answer, calm[i].answer) << i;
  EXPECT_EQ(tracking_allocator_figures().current_bytes, before);
}

TEST_F(SampleAnswersTest, LeavesThemOutWhenNotEvenOneFits) {
  const auto prompts = read("hello\n");
  const MemoryMonitor tight(at::kCPU, tracking_allocator_figures().current_bytes + 1000);
  ::testing::internal::CaptureStderr();
  EXPECT_TRUE(answer_samples(decoder_, adapter_, text_.tokenizer, prompts, tight).empty());
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("out of memory with one prompt at a time"));
}

}  // namespace
}  // namespace nkat::train
