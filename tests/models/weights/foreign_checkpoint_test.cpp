#include "models/weights/foreign_checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "data/formats/safetensors.h"
#include "models/tensor_table.h"
#include "tests/support/message_of.h"
#include "tests/support/temporary_folder.h"

namespace nkat::models {
namespace {

using nkat::testing::message_of;
using ::testing::AllOf;
using ::testing::HasSubstr;

const std::string kDown = "model.layers.0.mlp.down_proj";

class ForeignCheckpoint : public ::testing::Test {
 protected:
  // What is said of a checkpoint with this tensor in it; "": nothing.
  std::string complaint(const std::string& name) const {
    const std::vector<std::byte> bytes(4);
    folder_.write("model.safetensors", data::serialize_safetensors({{name, data::DType::kF32, {1}, bytes}}, {}));
    const data::SafetensorsFolder folder(folder_.path());
    return message_of<FormatError>([&] { refuse_foreign_checkpoint(folder, folder_.path()); });
  }
  nkat::testing::TemporaryFolder folder_;
};

TEST_F(ForeignCheckpoint, QuantizedWeightsAreNamedByTheirKind) {
  for (const auto& [ending, kind] : {std::pair{".weight.absmax", "4-bit weights of bitsandbytes"},
                                     {".weight.quant_state.bitsandbytes__nf4", "4-bit weights of bitsandbytes"},
                                     {".SCB", "8-bit weights of bitsandbytes"},
                                     {".g_idx", "weights quantized by GPTQ"},
                                     {".qweight", "weights quantized by GPTQ or AWQ"},
                                     {".weight_packed", "weights quantized by compressed-tensors"},
                                     {".weight_scale_inv", "FP8 weights with block scales"},
                                     {".weight_scale", "8-bit weights (FP8 or integers) with scales"},
                                     {".scales", "weights quantized by MLX"},
                                     {".weight_scales", "8-bit weights (FP8 or integers) with scales"},
                                     {".W_q", "weights quantized by HQQ"},
                                     {".weight._data", "weights quantized by quanto"}}) {
    EXPECT_THAT(complaint(kDown + ending),
                AllOf(HasSubstr("model.safetensors: tensor '" + kDown + ending + "': this checkpoint holds " + kind),
                      HasSubstr("; use the unquantized model that it was made from")));
  }
}

TEST_F(ForeignCheckpoint, TheMethodThatTheConfigNamesIsAdded) {
  for (const auto& [config, said] :
       {std::pair{R"({"quantization_config": {"quant_method": "awq"}})", "by GPTQ or AWQ (config.json: awq); use"},
        {R"({"quantization_config": {"load_in_4bit": true}})", "by GPTQ or AWQ; use"},
        {R"({"quantization_config": 4})", "by GPTQ or AWQ; use"},
        {"{", "by GPTQ or AWQ; use"}}) {
    folder_.write("config.json", config);
    EXPECT_THAT(complaint(kDown + ".qweight"), HasSubstr(said));
  }
}

TEST_F(ForeignCheckpoint, AnAdapterIsToBeMerged) {
  for (const char* name :
       {"base_model.model.model.layers.0.mlp.down_proj.lora_A.weight",
        "model.layers.0.mlp.down_proj.lora_B.default.weight", "model.layers.0.mlp.down_proj.base_layer.weight",
        "base_model.model.model.norm.weight", "model.layers.0.mlp.down_proj.lora_magnitude_vector",
        "model.layers.0.mlp.down_proj.hada_w1_a"}) {
    EXPECT_THAT(complaint(name), HasSubstr("merge them with peft's merge_and_unload()")) << name;
  }
  EXPECT_THAT(complaint("layers.0.so8t.weight"), HasSubstr("an NKAT-SO8T adapter; give its folder as --adapter"));
}

TEST_F(ForeignCheckpoint, AWrappedModuleIsToBeSavedWithoutItsWrapper) {
  for (const auto& [beginning, said] :
       {std::pair{"_orig_mod.", "torch.compile; use model._orig_mod.save_pretrained(DIR)"},
        {"model._orig_mod.", "torch.compile"},
        {"module.", "DataParallel or DeepSpeed; use model.module.save_pretrained(DIR)"},
        {"_fsdp_wrapped_module.", "FSDP"},
        {"model.language_model.", "the text part of a model that also takes images or sound"},
        {"language_model.model.", "the text part of a model that also takes images or sound"},
        {"pretrained_model.", "a value head of TRL"}}) {
    EXPECT_THAT(complaint(beginning + std::string("layers.0.mlp.down_proj.weight")), HasSubstr(said));
  }
}

TEST_F(ForeignCheckpoint, OtherModelsAreNamed) {
  EXPECT_THAT(complaint("embed_tokens.weight"), HasSubstr("a model without its head (AutoModel)"));
  EXPECT_THAT(complaint("score.weight"), HasSubstr("a sequence classifier"));
  EXPECT_THAT(complaint("tok_embeddings.weight"), HasSubstr("its maker's own layout"));
}

TEST_F(ForeignCheckpoint, NothingIsSaidOfAModelsOwnTensors) {
  ModelConfig config;
  config.num_layers = 1;
  for (const TensorSpec& tensor : model_tensors(config)) EXPECT_EQ(complaint(tensor.name), "") << tensor.name;
  for (const char* projection :
       {"self_attn.q_proj.weight", "self_attn.k_proj.bias", "mlp.gate_proj.weight", "self_attn.q_norm.weight"})
    EXPECT_EQ(complaint(std::string("model.layers.0.") + projection), "");
  EXPECT_EQ(complaint("lm_head.weight"), "");
}

}  // namespace
}  // namespace nkat::models
