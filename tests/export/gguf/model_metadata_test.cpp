#include "export/gguf/model_metadata.h"

#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nkat::exporting {
namespace {

using gguf::GgufMetadata;
using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

// No two sizes are equal, so that none can stand under another's key.
models::ModelConfig example() {
  models::ModelConfig config;
  config.hidden_size = 24;
  config.intermediate_size = 40;
  config.num_layers = 3;
  config.num_heads = 6;
  config.num_key_value_heads = 2;
  config.head_dim = 5;
  config.rotary_dim = 4;
  config.vocab_size = 7;
  config.rms_norm_eps = 1e-6;
  config.rope_theta = 500000;
  config.max_position_embeddings = 128;
  config.original_max_position_embeddings = 32;
  config.sliding_window = 9;
  config.short_factor = {1, 1.5};
  config.long_factor = {2, 2.5};
  config.attention_factor = 1.25;
  return config;
}

Vocabulary two_special_tokens() {
  Vocabulary vocabulary;
  vocabulary.begin = 11;
  vocabulary.end = 12;
  return vocabulary;
}

GgufMetadata metadata_of(const models::ModelConfig& config, const Vocabulary& vocabulary) {
  return model_metadata(config, vocabulary, {.name = "my phi-3", .chat_template = "{{ x }}"},
                        QuantizationRecipe::kQ5_K_M, 64);
}

GgufMetadata metadata_of(const Provenance& provenance) {
  GgufMetadata metadata("test");
  add_provenance(provenance, metadata);
  return metadata;
}

std::vector<std::string> keys_of(const GgufMetadata& metadata) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : metadata.pairs()) keys.push_back(key);
  return keys;
}

TEST(ModelMetadata, HasEachSizeUnderItsOwnKey) {
  const GgufMetadata metadata = metadata_of(example(), two_special_tokens());
  const std::map<std::string, std::uint32_t> sizes = {{"general.file_type", 17},  // LLAMA_FTYPE_MOSTLY_Q5_K_M
                                                      {"phi3.context_length", 64},
                                                      {"phi3.rope.scaling.original_context_length", 32},
                                                      {"phi3.embedding_length", 24},
                                                      {"phi3.feed_forward_length", 40},
                                                      {"phi3.block_count", 3},
                                                      {"phi3.attention.head_count", 6},
                                                      {"phi3.attention.head_count_kv", 2},
                                                      {"phi3.rope.dimension_count", 4},
                                                      {"phi3.attention.sliding_window", 9}};
  for (const auto& [key, size] : sizes) EXPECT_EQ(metadata.number<std::uint32_t>(key), size) << key;
  EXPECT_EQ(metadata.number<float>("phi3.attention.layer_norm_rms_epsilon"), 1e-6F);
  EXPECT_EQ(metadata.number<float>("phi3.rope.freq_base"), 500000);
  EXPECT_EQ(metadata.number<float>("phi3.rope.scaling.attn_factor"), 1.25F);
  EXPECT_EQ(metadata.string("general.name"), "my phi-3");
  EXPECT_EQ(metadata.string("tokenizer.chat_template"), "{{ x }}");
}

TEST(ModelMetadata, ScalesAttentionOnlyWithLongRopeFactors) {
  models::ModelConfig config = example();
  config.short_factor = config.long_factor = {};
  EXPECT_EQ(metadata_of(config, two_special_tokens()).find("phi3.rope.scaling.attn_factor"), nullptr);
}

TEST(ModelMetadata, HasOnlyTheSpecialTokensThatThereAre) {
  Vocabulary vocabulary = two_special_tokens();
  const GgufMetadata without = metadata_of(example(), vocabulary);
  EXPECT_EQ(without.number<std::uint32_t>("tokenizer.ggml.bos_token_id"), 11u);
  EXPECT_EQ(without.number<std::uint32_t>("tokenizer.ggml.eos_token_id"), 12u);
  for (const char* name : {"unknown", "padding", "eot"})
    EXPECT_EQ(without.find(std::string("tokenizer.ggml.") + name + "_token_id"), nullptr) << name;
  vocabulary.unknown = 13;
  vocabulary.padding = 14;
  vocabulary.end_of_turn = 15;
  const GgufMetadata with = metadata_of(example(), vocabulary);
  EXPECT_EQ(with.number<std::uint32_t>("tokenizer.ggml.unknown_token_id"), 13u);
  EXPECT_EQ(with.number<std::uint32_t>("tokenizer.ggml.padding_token_id"), 14u);
  EXPECT_EQ(with.number<std::uint32_t>("tokenizer.ggml.eot_token_id"), 15u);
}

TEST(ModelMetadata, NamesOfTheOriginOnlyWhatIsKnown) {
  EXPECT_THAT(keys_of(metadata_of(Provenance{.base_sha256 = ""})), ElementsAre("nkat.version"));
  EXPECT_THAT(keys_of(metadata_of(Provenance{.base_sha256 = "abc", .first_layer = 3, .step = 5})),
              UnorderedElementsAre("nkat.version", "nkat.base_sha256"));
  const GgufMetadata adapted = metadata_of(Provenance{
      .base_sha256 = "", .adapter_sha256 = "def", .first_layer = 3, .gates = {0.25F, 0.5F}, .trained_on = "abc"});
  EXPECT_THAT(keys_of(adapted),
              UnorderedElementsAre("nkat.version", "nkat.adapter.version", "nkat.adapter.sha256",
                                   "nkat.adapter.base_sha256", "nkat.adapter.first_layer", "nkat.adapter.gates"));
  EXPECT_EQ(adapted.string("nkat.adapter.sha256"), "def");
  EXPECT_EQ(adapted.string("nkat.adapter.base_sha256"), "abc");
  EXPECT_EQ(adapted.number<std::uint32_t>("nkat.adapter.first_layer"), 3u);
  EXPECT_THAT(adapted.numbers<float>("nkat.adapter.gates"), ElementsAre(0.25, 0.5));
}

TEST(ModelMetadata, NamesAnImportanceThatWasMeasured) {
  GgufMetadata metadata("test");
  add_importance({}, metadata);
  EXPECT_THAT(keys_of(metadata), ElementsAre());
  add_importance(Importance({}, 77, "abc"), metadata);
  EXPECT_EQ(metadata.number<std::uint32_t>("nkat.importance.tokens"), 77u);
  EXPECT_EQ(metadata.string("nkat.importance.sha256"), "abc");
}

TEST(ModelMetadata, ANameOfPhi3IsKnownInAnyCase) {
  for (const char* name : {"phi-3", "PHI-3 mini", "my.Phi3.5"}) EXPECT_TRUE(names_phi3(name)) << name;
  for (const char* name : {"", "phi", "phi-2", "phi--3"}) EXPECT_FALSE(names_phi3(name)) << name;
}

TEST(ModelMetadata, AFileIsPhi3sByItsTokens) {
  const auto has = [](const std::string& kind, const std::vector<std::string>& tokens) {
    GgufMetadata metadata("test");
    metadata.add("tokenizer.ggml.model", gguf::GgufValue::string(kind));
    metadata.add("tokenizer.ggml.tokens", gguf::GgufValue::strings(tokens));
    return has_phi3_tokens(metadata);
  };
  const std::vector<std::string> all = {"<unk>",         "<s>",           "</s>",     "a",
                                        "<|endoftext|>", "<|assistant|>", "<|user|>", "<|end|>"};
  EXPECT_TRUE(has("llama", all));
  EXPECT_FALSE(has("gpt2", all));
  EXPECT_FALSE(has("llama", {"<unk>", "<s>", "</s>", "<|im_end|>"}));
  // With such a name llama.cpp looks for </s>, and aborts without it.
  EXPECT_FALSE(has("llama", {"<unk>", "<s>", "<|endoftext|>", "<|assistant|>", "<|user|>", "<|end|>"}));
  EXPECT_FALSE(has_phi3_tokens(GgufMetadata("test")));
  GgufMetadata odd("test");
  odd.add("tokenizer.ggml.model", gguf::GgufValue::number(true));
  odd.add("tokenizer.ggml.tokens", gguf::GgufValue::number(true));
  EXPECT_FALSE(has_phi3_tokens(odd));
}

TEST(ModelMetadata, ANameIsMadeToFit) {
  EXPECT_EQ(fitting_name("Phi 3.5 Mini Instruct", true), "phi3-Phi 3.5 Mini Instruct");
  EXPECT_EQ(fitting_name("Phi-3.5", true), "Phi-3.5");
  EXPECT_EQ(fitting_name("Phi-3.5", false), "Phi 3.5");
}

TEST(ModelMetadata, TheDefaultNameIsTheFoldersHoweverItIsSpelled) {
  EXPECT_EQ(default_name("/no/such/mine", false, false), "mine");
  EXPECT_EQ(default_name("/no/such/../mine/.", true, false), "mine-nkat");
  EXPECT_EQ(default_name("/no/such/mine", false, true), "phi3-mine");
  // Where it must not match, its letters stay.
  EXPECT_EQ(default_name("/no/such/Phi-3-mini-PHI3", false, false), "Phi 3-mini-PHI 3");
}

}  // namespace
}  // namespace nkat::exporting
