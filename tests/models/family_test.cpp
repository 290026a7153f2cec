#include "models/family.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nkat::models {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(Family, EachIsFoundByItsValue) {
  for (const FamilyTraits& one : known_families()) EXPECT_STREQ(traits_of(one.family).model_type, one.model_type);
  EXPECT_STREQ(traits_of(Family::kMistral).gguf_architecture, "llama");
  EXPECT_EQ(known_model_types(), R"("phi3", "llama", "mistral", "qwen2", "qwen3")");
}

TEST(Family, RefusedModelsAreNamedWithTheWayOut) {
  EXPECT_THAT(refused_model_type("gpt_neox"),
              AllOf(HasSubstr("GPT-NeoX, as weblab-10b"), HasSubstr("it runs in llama.cpp")));
  EXPECT_THAT(refused_model_type("gemma3_text"), HasSubstr("Gemma"));
  EXPECT_THAT(refused_model_type("phi3small"), HasSubstr("Phi-3-small"));
  EXPECT_THAT(refused_model_type("qwen3_moe"), HasSubstr("mixture of experts"));
  for (const FamilyTraits& one : known_families()) EXPECT_EQ(refused_model_type(one.model_type), "");
  EXPECT_EQ(refused_model_type("bloom"), "");
}

}  // namespace
}  // namespace nkat::models
