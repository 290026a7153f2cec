#include "models/config.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "tests/support/temporary_folder.h"

namespace nkat::models {
namespace {

using nkat::testing::TemporaryFolder;
using Json = nlohmann::ordered_json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Json plain_config() {
  return Json::parse(R"({"model_type": "phi3", "architectures": ["Phi3ForCausalLM"], "hidden_size": 48,
    "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "vocab_size": 100, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "max_position_embeddings": 256,
    "original_max_position_embeddings": 256, "hidden_act": "silu", "eos_token_id": 7, "bos_token_id": 1,
    "pad_token_id": null, "rope_scaling": null, "sliding_window": null, "torch_dtype": "bfloat16"})");
}

Json long_config() {
  Json config = plain_config();
  config["original_max_position_embeddings"] = 32;
  config["rope_scaling"] = {
      {"type", "longrope"}, {"short_factor", {1, 1.1, 1.2, 1.3, 1.4, 1.5}}, {"long_factor", {1, 2, 3, 4, 5, 6}}};
  return config;
}

ModelConfig read(const Json& config, const std::string& generation = "") {
  TemporaryFolder folder;
  folder.write("config.json", config.dump());
  if (!generation.empty()) folder.write("generation_config.json", generation);
  return read_model_config(folder.path());
}

ModelConfig read_patched(Json config, const std::string& patch) {
  config.merge_patch(Json::parse(patch));
  return read(config);
}

TEST(ModelConfig, ReadsAPlainConfig) {
  const ModelConfig config = read(plain_config());
  EXPECT_EQ(config.hidden_size, 48);
  EXPECT_EQ(config.num_layers, 2);
  EXPECT_EQ(config.num_key_value_heads, 2);
  EXPECT_EQ(config.head_dim, 12);
  EXPECT_EQ(config.rotary_dim, 12);
  EXPECT_EQ(config.qkv_rows(), (4 + 2 + 2) * 12);
  EXPECT_TRUE(config.short_factor.empty());
  EXPECT_EQ(config.attention_factor, 1.0);
  EXPECT_FALSE(config.sliding_window.has_value());
  EXPECT_FALSE(config.tie_word_embeddings);
  EXPECT_THAT(config.end_tokens, ElementsAre(7));
  EXPECT_EQ(config.bos_token, 1);
  EXPECT_FALSE(config.pad_token.has_value());
  EXPECT_EQ(config.stored_dtype, "bfloat16");
}

TEST(ModelConfig, ComputesTheMagnitudeOfLongRope) {
  EXPECT_DOUBLE_EQ(read(long_config()).attention_factor, std::sqrt(1 + std::log(256.0 / 32) / std::log(32.0)));
  Json phi35 = long_config();
  phi35["max_position_embeddings"] = 131072;
  phi35["original_max_position_embeddings"] = 4096;
  EXPECT_NEAR(read(phi35).attention_factor, 1.1902380714238083, 1e-15);  // sqrt(17 / 12)
}

TEST(ModelConfig, AcceptsEverySpellingOfLongRope) {
  const ModelConfig expected = read(long_config());
  const std::vector<std::string> patches = {
      R"({"rope_scaling": {"type": "su"}})",
      R"({"rope_scaling": {"type": "yarn"}})",
      R"({"rope_scaling": {"type": null, "rope_type": "longrope"}})",
      R"({"rope_scaling": {"rope_type": "longrope"}})",
      R"({"original_max_position_embeddings": null, "rope_scaling": {"original_max_position_embeddings": 32}})",
      R"({"rope_theta": null, "rope_scaling": {"rope_theta": 10000.0}})",
      R"({"rope_theta": 10000, "rope_scaling": {"rope_theta": 10000.0}})",
      R"({"rope_scaling": {"partial_rotary_factor": 1.0}})",
  };
  for (const std::string& patch : patches) {
    const ModelConfig config = read_patched(long_config(), patch);
    EXPECT_EQ(config.long_factor, expected.long_factor) << patch;
    EXPECT_EQ(config.short_factor, expected.short_factor) << patch;
    EXPECT_EQ(config.original_max_position_embeddings, 32) << patch;
    EXPECT_EQ(config.attention_factor, expected.attention_factor) << patch;
    EXPECT_EQ(config.rope_theta, 10000.0) << patch;
  }
  Json renamed = long_config();
  renamed["rope_parameters"] = renamed["rope_scaling"];
  renamed.erase("rope_scaling");
  EXPECT_EQ(read(renamed).long_factor, expected.long_factor);
}

TEST(ModelConfig, AnExplicitAttentionFactorOverridesTheFormula) {
  EXPECT_EQ(read_patched(long_config(), R"({"rope_scaling": {"attention_factor": 1.25}})").attention_factor, 1.25);
}

TEST(ModelConfig, DefaultRopeParametersMeanPlainRope) {
  const ModelConfig config =
      read_patched(plain_config(), R"({"rope_theta": null, "rope_parameters": {"rope_type": "default",
                                       "rope_theta": 250000.0, "partial_rotary_factor": 0.5}})");
  EXPECT_TRUE(config.long_factor.empty());
  EXPECT_EQ(config.rope_theta, 250000.0);
  EXPECT_EQ(config.rotary_dim, 6);
}

TEST(ModelConfig, ReadsTheShapeOfPhi4Mini) {
  const ModelConfig config = read_patched(plain_config(), R"({"hidden_size": 3072, "num_attention_heads": 24,
    "num_key_value_heads": 8, "head_dim": 128, "partial_rotary_factor": 0.75, "tie_word_embeddings": true,
    "vocab_size": 200064})");
  EXPECT_EQ(config.head_dim, 128);
  EXPECT_EQ(config.rotary_dim, 96);
  EXPECT_EQ(config.qkv_rows(), 5120);
  EXPECT_TRUE(config.tie_word_embeddings);
}

TEST(ModelConfig, NullKeyValueHeadsMeanOneForEachQueryHead) {
  EXPECT_EQ(read_patched(plain_config(), R"({"num_key_value_heads": null})").num_key_value_heads, 4);
}

TEST(ModelConfig, ReadsDtypeUnderBothNames) {
  EXPECT_EQ(read_patched(plain_config(), R"({"torch_dtype": null, "dtype": "float16"})").stored_dtype, "float16");
  EXPECT_EQ(read_patched(plain_config(), R"({"torch_dtype": "torch.float32"})").stored_dtype, "float32");
}

TEST(ModelConfig, ADtypeForEachModuleIsNoneOfTheModel) {
  EXPECT_EQ(read_patched(plain_config(), R"({"torch_dtype": {"": "float16", "text_config": "bfloat16"}})").stored_dtype,
            "");
}

TEST(ModelConfig, MinusOneIsNoEndAndNoPadding) {
  const ModelConfig config = read_patched(plain_config(), R"({"eos_token_id": [-1, 7], "pad_token_id": -1})");
  EXPECT_THAT(config.end_tokens, ElementsAre(7));
  EXPECT_EQ(config.pad_token, std::nullopt);
}

TEST(ModelConfig, JoinsTheEndTokensOfBothFiles) {
  Json config = plain_config();
  config["eos_token_id"] = {9, 7};
  EXPECT_THAT(read(config, R"({"eos_token_id": [20, 9, 11]})").end_tokens, ElementsAre(7, 9, 11, 20));
  EXPECT_THAT(read(config, R"({"bos_token_id": 1})").end_tokens, ElementsAre(7, 9));
}

TEST(ModelConfig, TheNewerSpellingOfTheStoredTypeWins) {
  EXPECT_EQ(read_patched(plain_config(), R"({"dtype": "float16"})").stored_dtype, "float16");
}

Json family_config(const std::string& model_type, const std::string& architecture) {
  Json config = plain_config();
  config["model_type"] = model_type;
  config["architectures"] = {architecture};
  return config;
}

TEST(ModelConfig, ReadsWhatEachFamilyHasOfItsOwn) {
  const Json llama = family_config("llama", "LlamaForCausalLM"), qwen2 = family_config("qwen2", "Qwen2ForCausalLM"),
             qwen3 = family_config("qwen3", "Qwen3ForCausalLM"),
             mistral = family_config("mistral", "MistralForCausalLM");
  const ModelConfig biased = read_patched(llama, R"({"attention_bias": true, "mlp_bias": true})");
  EXPECT_EQ(biased.family, Family::kLlama);
  EXPECT_TRUE(biased.qkv_bias && biased.output_bias && biased.mlp_bias);
  EXPECT_FALSE(read(llama).qkv_bias || read(llama).head_norms);
  EXPECT_TRUE(read(qwen2).qkv_bias);
  EXPECT_FALSE(read(qwen2).output_bias);
  EXPECT_EQ(read(qwen3).head_dim, 128);
  EXPECT_TRUE(read(qwen3).head_norms);
  EXPECT_FALSE(read(qwen3).qkv_bias);
  EXPECT_EQ(read_patched(mistral, R"({"head_dim": 32})").head_dim, 32);
  Json without_groups = mistral;
  without_groups["num_key_value_heads"] = nullptr;  // merge_patch would take the key away
  EXPECT_EQ(read(without_groups).num_key_value_heads, 4);
  EXPECT_EQ(read_patched(llama, R"({"rms_norm_eps": null})").rms_norm_eps, 1e-6);
}

TEST(ModelConfig, AFamilyMayBeNamedByItsClassAlone) {
  EXPECT_EQ(read_patched(family_config("llama", "LlamaForCausalLM"), R"({"model_type": null})").family, Family::kLlama);
}

TEST(ModelConfig, RefusesWhatIsNotKnownByName) {
  struct Case {
    std::string patch, message;
  };
  const std::vector<Case> cases = {
      {R"({"model_type": "phi3small"})", "Phi-3-small"},
      {R"({"model_type": "phimoe"})", "Phi-3.5-MoE"},
      {R"({"model_type": "phi3_v"})", "Phi-3-vision"},
      {R"({"model_type": "phi4mm"})", "Phi-4-multimodal"},
      {R"({"model_type": "llama"})", "\"llama\""},
      {R"({"architectures": ["Phi3SmallForCausalLM"]})", "Phi3SmallForCausalLM"},
      {R"({"architectures": ["Phi3ForSequenceClassification"]})", "Phi3ForSequenceClassification"},
      {R"({"model_type": "gpt_neox"})", "weblab-10b"},
      {R"({"model_type": null, "architectures": null})",
       "key model_type: expected \"phi3\", \"llama\", \"mistral\", \"qwen2\", \"qwen3\", found nothing"},
      {R"({"num_local_experts": 8})", "mixture of experts"},
  };
  for (const auto& [patch, message] : cases) {
    EXPECT_THAT([&] { read_patched(plain_config(), patch); },
                ::testing::ThrowsMessage<FormatError>(AllOf(HasSubstr("config.json"), HasSubstr(message))))
        << patch;
  }
}

TEST(ModelConfig, RefusesWrongValuesNamingKeyRequirementAndFinding) {
  struct Case {
    std::string patch, key, found;
  };
  const std::vector<Case> cases = {
      {R"({"hidden_size": null})", "hidden_size", "missing"},
      {R"({"hidden_size": "48"})", "hidden_size", "\"48\""},
      {R"({"hidden_size": -48})", "hidden_size", "-48"},
      {R"({"hidden_size": 48.5})", "hidden_size", "48.5"},
      {R"({"hidden_size": 18446744073709551615})", "hidden_size", "18446744073709551615"},
      {R"({"hidden_size": 50})", "hidden_size", "50"},
      {R"({"hidden_size": 52})", "hidden_size", "a multiple of 8"},
      {R"({"intermediate_size": 0})", "intermediate_size", "found 0"},
      {R"({"num_hidden_layers": 513})", "num_hidden_layers", "513"},
      {R"({"num_attention_heads": true})", "num_attention_heads", "true"},
      {R"({"num_key_value_heads": 3})", "num_key_value_heads", "found 3"},
      {R"({"head_dim": 5})", "head_dim", "found 5"},
      {R"({"vocab_size": 16777217})", "vocab_size", "16777217"},
      {R"({"rms_norm_eps": 0})", "rms_norm_eps", "found 0"},
      {R"({"rms_norm_eps": "1e-5"})", "rms_norm_eps", "1e-5"},
      {R"({"rope_theta": -1})", "rope_theta", "-1"},
      {R"({"partial_rotary_factor": 1.5})", "partial_rotary_factor", "1.5"},
      {R"({"partial_rotary_factor": 0.1})", "partial_rotary_factor", "found 1"},
      {R"({"sliding_window": 0})", "sliding_window", "found 0"},
      {R"({"tie_word_embeddings": 1})", "tie_word_embeddings", "found 1"},
      {R"({"hidden_act": "gelu"})", "hidden_act", "gelu"},
      {R"({"attention_bias": true})", "attention_bias", "true"},
      {R"({"eos_token_id": 100})", "eos_token_id", "100"},
      {R"({"eos_token_id": [7, "8"]})", "eos_token_id", "\"8\""},
      {R"({"bos_token_id": -1})", "bos_token_id", "-1"},
      {R"({"torch_dtype": 16})", "dtype", "16"},
      {R"({"rope_scaling": "longrope"})", "rope_scaling", "longrope"},
      {R"({"rope_scaling": {"type": "linear", "factor": 2}})", "rope_type", "linear"},
      {R"({"rope_scaling": {"type": "longrope", "rope_type": "default"}})", "rope_type", "default"},
      {R"({"rope_scaling": {"type": "longrope"}})", "short_factor", "nothing"},
      {R"({"rope_scaling": {"factor": 2}})", "factor", "2 alone"},
      {R"({"rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 1e6}}})",
       "rope_parameters.full_attention", "an object for one kind of layer"},
  };
  for (const auto& [patch, key, found] : cases) {
    EXPECT_THAT(
        [&] { read_patched(plain_config(), patch); },
        ::testing::ThrowsMessage<FormatError>(AllOf(HasSubstr("config.json"), HasSubstr(key), HasSubstr(found))))
        << patch;
  }
}

TEST(ModelConfig, AFactorOfOneOrOfTheDefaultTypeScalesNothing) {
  for (const char* patch :
       {R"({"rope_scaling": {"factor": 1.0}})", R"({"rope_scaling": {"rope_type": "default", "factor": 4.0}})"}) {
    const ModelConfig config = read_patched(plain_config(), patch);
    EXPECT_EQ(config.rope_scaling.kind, layers::RopeScaling::Kind::kNone) << patch;
    EXPECT_TRUE(config.long_factor.empty()) << patch;
  }
}

TEST(ModelConfig, RefusesWrongLongRopeValues) {
  struct Case {
    std::string patch, key, found;
  };
  const std::vector<Case> cases = {
      {R"({"rope_scaling": {"short_factor": [1, 2, 3]}})", "short_factor", "3 of them"},
      {R"({"rope_scaling": {"long_factor": [1, 2, 3, 4, 5, 6, 7]}})", "long_factor", "7 of them"},
      {R"({"rope_scaling": {"long_factor": 4}})", "long_factor", "found 4"},
      {R"({"rope_scaling": {"long_factor": [1, 2, 0, 4, 5, 6]}})", "long_factor[2]", "found 0"},
      {R"({"rope_scaling": {"long_factor": [1, 2, "3", 4, 5, 6]}})", "long_factor[2]", "\"3\""},
      {R"({"rope_scaling": {"attention_factor": -1}})", "attention_factor", "-1"},
      {R"({"original_max_position_embeddings": null})", "original_max_position_embeddings", "missing"},
      {R"({"original_max_position_embeddings": 257})", "original_max_position_embeddings", "257"},
      {R"({"original_max_position_embeddings": 1})", "original_max_position_embeddings", "found 1"},
      {R"({"rope_scaling": {"original_max_position_embeddings": 64}})", "original_max_position_embeddings", "agree"},
      {R"({"partial_rotary_factor": 0.5})", "short_factor", "6 of them"},
  };
  for (const auto& [patch, key, found] : cases) {
    EXPECT_THAT(
        [&] { read_patched(long_config(), patch); },
        ::testing::ThrowsMessage<FormatError>(AllOf(HasSubstr("config.json"), HasSubstr(key), HasSubstr(found))))
        << patch;
  }
}

TEST(ModelConfig, NamesTheFileThatIsMissingOrBroken) {
  TemporaryFolder folder;
  EXPECT_THAT([&] { read_model_config(folder.path()); }, ::testing::ThrowsMessage<DataError>(HasSubstr("config.json")));
  folder.write("config.json", "{\"model_type\": ");
  EXPECT_THAT([&] { read_model_config(folder.path()); },
              ::testing::ThrowsMessage<FormatError>(HasSubstr("config.json")));
  folder.write("config.json", "[]");
  EXPECT_THAT([&] { read_model_config(folder.path()); },
              ::testing::ThrowsMessage<FormatError>(HasSubstr("a JSON object")));
  folder.write("config.json", plain_config().dump());
  folder.write("generation_config.json", R"({"eos_token_id": 5000})");
  EXPECT_THAT([&] { read_model_config(folder.path()); },
              ::testing::ThrowsMessage<FormatError>(HasSubstr("generation_config.json")));
}

}  // namespace
}  // namespace nkat::models
