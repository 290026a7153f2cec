#include "models/model_summary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/planning/memory_plan.h"
#include "tests/support/phi35.h"

namespace nkat::models {
namespace {

using ::testing::HasSubstr;
using testing::phi35;

TEST(ModelSummary, ShowsTheModulesInForwardOrderOnOneScreen) {
  ModelConfig config = phi35();
  config.num_key_value_heads = 8;
  EXPECT_EQ(describe(config, {.base = BaseFormat::kAggressive, .first_adapter_layer = 8}),
            R"(Phi3 (base aggressive)
  (embed_tokens): Embedding (32064, 3072)            bf16    197001216 bytes
  (layers): 32 x                                              77195264 bytes each
    (input_layernorm): RMSNorm (3072)                bf16         6144 bytes
    (qkv_proj): Linear (4608, 3072)                  int8     14186496 bytes
      attention: 32 heads x 96, 8 kv heads
    (o_proj): Linear (3072, 3072)                    int8      9461760 bytes
    (post_attention_layernorm): RMSNorm (3072)       bf16         6144 bytes
    (gate_up_proj): Linear (16384, 3072)             nf4      28323840 bytes
      SwiGLU: 16384 -> 8192
    (down_proj): Linear (3072, 8192)                 int8     25210880 bytes
      + sigma(alpha) R: 384 blocks of 8, layers 8 to 31
  (norm): RMSNorm (3072)                             bf16         6144 bytes
  (lm_head): Linear (32064, 3072)                    bf16    197001216 bytes
frozen: 3368094720 parameters, 2864257024 bytes
trained: 589848 parameters; each adapter layer has 384 x 64 of W, of which 384 x 28 act, and alpha
)");
}

TEST(ModelSummary, BytesAreThoseOfTheMemoryPlan) {
  for (const auto& [base, name] : kBaseFormatNames) {
    for (const std::int64_t element_bytes : {2, 4}) {
      const PlanRequest plan{.element_bytes = element_bytes, .forms = formats_of(base)};
      const auto bytes = static_cast<std::int64_t>(plan_memory(phi35(), plan, 0).weights);
      EXPECT_THAT(describe(phi35(), {.base = base, .element_bytes = element_bytes}),
                  HasSubstr(fmt::format("frozen: 3821079552 parameters, {} bytes\n", bytes)))
          << name;
    }
  }
}

TEST(ModelSummary, ATiedHeadTakesNoBytesAndASafeBaseIsInTheComputeType) {
  ModelConfig config = phi35();
  config.tie_word_embeddings = true;
  const std::string text = describe(config, {.element_bytes = 4, .first_adapter_layer = 31});
  EXPECT_THAT(text, HasSubstr("(embed_tokens): Linear (32064, 3072)               the embedding\n"));
  EXPECT_THAT(text, HasSubstr("(qkv_proj): Linear (9216, 3072)                  fp32    113246208 bytes\n"));
  EXPECT_THAT(text, HasSubstr("384 blocks of 8, layer 31\n"));
  EXPECT_THAT(text, HasSubstr(fmt::format("frozen: {} parameters, {} bytes\n", parameter_count(config),
                                          4 * parameter_count(config))));
}

TEST(ModelSummary, OneLineCountsWhatTrainsAndWhatIsFrozen) {
  EXPECT_EQ(adapter_line(phi35(), 0),
            "adapter: 32 of 32 layers, 786464 parameters; base: 3821079552 parameters frozen");
  EXPECT_EQ(adapter_line(phi35(), 30), "adapter: 2 of 32 layers, 49154 parameters; base: 3821079552 parameters frozen");
}

}  // namespace
}  // namespace nkat::models
