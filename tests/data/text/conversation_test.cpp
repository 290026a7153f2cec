#include "data/text/conversation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/mutations.h"

namespace nkat::data {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> turns_of(std::string_view text) {
  std::vector<std::string> turns;
  for (const Turn& turn : parse_rendered_conversation(text))
    turns.push_back(std::string(role_name(turn.role)) + "=" + turn.content);
  return turns;
}

TEST(RenderedConversation, IsKnownByARoleTagAtItsBeginning) {
  EXPECT_TRUE(is_rendered_conversation("<|user|>\nhi"));
  EXPECT_TRUE(is_rendered_conversation("<s><|system|> hi"));
  EXPECT_TRUE(is_rendered_conversation("\n <|assistant|>"));
  EXPECT_FALSE(is_rendered_conversation("say <|user|>"));
  EXPECT_FALSE(is_rendered_conversation("<|end|>"));
  EXPECT_FALSE(is_rendered_conversation(""));
}

TEST(RenderedConversation, ComesBackAsItsTurns) {
  EXPECT_THAT(turns_of("<|system|>\ns<|end|>\n<|user|>\n u \n<|end|>\n<|assistant|>\na<|end|>\n<|endoftext|>"),
              ElementsAre("system=s", "user=u \n", "assistant=a"));
  EXPECT_THAT(turns_of("<s><|user|>hi<|end|><|assistant|>yo"), ElementsAre("user=hi", "assistant=yo"));
  EXPECT_THAT(turns_of("<|user|>hi<|assistant|>yo</s>"), ElementsAre("user=hi", "assistant=yo"));
  EXPECT_THAT(turns_of("<|user|>hi<|end|>\n<|assistant|>\n"), ElementsAre("user=hi"));
  EXPECT_THAT(turns_of("<|assistant|><|end|>"), ElementsAre("assistant="));
}

TEST(RenderedConversation, RefusesTextOutsideTurns) {
  EXPECT_THROW(parse_rendered_conversation("<|user|>hi<|end|> stray"), FormatError);
  EXPECT_THROW(parse_rendered_conversation("stray"), FormatError);
}

TEST(RenderedConversation, SurvivesEveryTruncationAndBitFlip) {
  const std::string text = "<s><|system|>\ns<|end|>\n<|user|>\nu<|end|>\n<|assistant|>\na<|end|>\n<|endoftext|>";
  const nkat::testing::Reader read = [](const std::string& bytes) { parse_rendered_conversation(bytes); };
  nkat::testing::refused_truncations(read, text);
  EXPECT_GT(nkat::testing::refused_bit_flips(read, text), 0);
}

}  // namespace
}  // namespace nkat::data
