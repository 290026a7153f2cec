#include "models/weights/foreign_checkpoint.h"

#include <algorithm>
#include <string>
#include <string_view>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files/file.h"
#include "core/json.h"
#include "core/utf8.h"

namespace nkat::models {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::uint64_t kConfigLimit = 16 << 20;

enum class Kind { kQuantized, kAdapter, kWrapped, kOther };
enum class Place { kBeginning, kAnywhere, kEnd };

// A part of tensor names that only one kind of checkpoint has. what: completes "this checkpoint holds ...".
struct Sign {
  Place place;
  std::string_view text;
  Kind kind;
  std::string_view what;
  std::string_view next = "";  // "": by kind
};

using enum Place;
using enum Kind;
// The first sign that any name has decides.
constexpr Sign kSigns[] = {
    {kAnywhere, ".quant_state.bitsandbytes", kQuantized, "4-bit weights of bitsandbytes"},
    {kEnd, ".SCB", kQuantized, "8-bit weights of bitsandbytes"},
    {kEnd, ".absmax", kQuantized, "4-bit weights of bitsandbytes"},
    {kEnd, ".g_idx", kQuantized, "weights quantized by GPTQ"},
    {kEnd, ".qweight", kQuantized, "weights quantized by GPTQ or AWQ"},
    {kEnd, ".qzeros", kQuantized, "weights quantized by GPTQ or AWQ"},
    {kEnd, ".weight_packed", kQuantized, "weights quantized by compressed-tensors"},
    {kEnd, ".weight_zero_point", kQuantized, "weights quantized by compressed-tensors"},
    {kEnd, ".weight_scale_inv", kQuantized, "FP8 weights with block scales"},
    {kAnywhere, ".weight_scale", kQuantized, "8-bit weights (FP8 or integers) with scales"},
    {kEnd, ".input_scale", kQuantized, "8-bit weights (FP8 or integers) with scales"},
    {kEnd, ".W_q", kQuantized, "weights quantized by HQQ"},
    {kEnd, ".codebooks", kQuantized, "weights quantized by AQLM"},
    {kEnd, ".weight._data", kQuantized, "weights quantized by quanto"},
    {kEnd, "weight_qdata", kQuantized, "weights quantized by torchao"},
    {kEnd, "_blocks", kQuantized, "MXFP4 weights"},
    {kEnd, ".scales", kQuantized, "weights quantized by MLX"},
    {kAnywhere, ".so8t.", kAdapter, "an NKAT-SO8T adapter",
     "give its folder as --adapter, and its base as --model-path"},
    {kAnywhere, "lora_", kAdapter, "LoRA weights that aren't merged"},
    {kAnywhere, ".base_layer.", kAdapter, "weights with an adapter of peft around them"},
    {kAnywhere, ".modules_to_save.", kAdapter, "weights with an adapter of peft around them"},
    {kAnywhere, ".ia3_", kAdapter, "IA3 weights that aren't merged"},
    {kAnywhere, ".hada_w", kAdapter, "LoHa weights that aren't merged"},
    {kAnywhere, ".lokr_w", kAdapter, "LoKr weights that aren't merged"},
    {kAnywhere, ".oft_", kAdapter, "OFT weights that aren't merged"},
    {kBeginning, "base_model.model.", kAdapter, "the weights of a peft model"},
    {kAnywhere, "_orig_mod.", kWrapped, "a module compiled by torch.compile", "model._orig_mod.save_pretrained(DIR)"},
    {kAnywhere, "_fsdp_wrapped_module.", kWrapped, "a module wrapped by FSDP",
     "its full state dict, saved by save_pretrained()"},
    {kAnywhere, "_checkpoint_wrapped_module.", kWrapped, "a module wrapped for activation checkpointing",
     "the module inside, saved by save_pretrained()"},
    {kBeginning, "module.", kWrapped, "a module wrapped by DataParallel or DeepSpeed",
     "model.module.save_pretrained(DIR)"},
    {kBeginning, "_forward_module.", kWrapped, "a module wrapped by Lightning",
     "the module inside, saved by save_pretrained()"},
    {kBeginning, "v_head.", kWrapped, "a model with a value head of TRL",
     "model.pretrained_model.save_pretrained(DIR)"},
    {kBeginning, "pretrained_model.", kWrapped, "a model with a value head of TRL",
     "model.pretrained_model.save_pretrained(DIR)"},
    {kAnywhere, "language_model.", kWrapped, "the text part of a model that also takes images or sound",
     "a text model, or that part alone, saved by save_pretrained()"},
    {kAnywhere, "vision_embed_tokens.", kOther, "a model that also takes images", "use its text model"},
    {kAnywhere, "embed_tokens_extend.", kOther, "a model that also takes images and sound", "use its text model"},
    {kBeginning, "tok_embeddings.", kOther, "its maker's own layout", "use the files that transformers loads"},
    {kBeginning, "score.", kOther, "a sequence classifier", "use the language model"},
    {kBeginning, "model.model.", kWrapped, "a model inside another module",
     "the module inside, saved by save_pretrained()"},
    {kBeginning, "embed_tokens.", kOther, "a model without its head (AutoModel)",
     "save AutoModelForCausalLM with save_pretrained(DIR)"},
};

bool has_sign(const std::string& name, const Sign& sign) {
  switch (sign.place) {
    case kBeginning: return name.starts_with(sign.text);
    case kEnd: return name.ends_with(sign.text);
    default: return name.find(sign.text) != std::string::npos;
  }
}

// The method that config.json names: " (config.json: gptq)"; "" where it doesn't.
std::string stated_method(const std::filesystem::path& model_folder) {
  try {
    const fs::path path = model_folder / "config.json";
    const Json config = parse_json(read_file(path, kConfigLimit), path.string());
    const Json method = config.at("quantization_config").at("quant_method");
    return method.is_string() ? fmt::format(" (config.json: {})", ellipsize(method.get<std::string>())) : "";
  } catch (const Error&) {
    return "";
  } catch (const Json::exception&) {
    return "";
  }
}

std::string advice(const Sign& sign) {
  switch (sign.kind) {
    case kQuantized: return "use the unquantized model that it was made from";
    case kAdapter:
      return sign.next.empty()
                 ? "merge them with peft's merge_and_unload() and use what save_pretrained(DIR) then writes"
                 : std::string(sign.next);
    case kWrapped: return fmt::format("use {}", sign.next);
    default: return std::string(sign.next);
  }
}

}  // namespace

void refuse_foreign_checkpoint(const data::SafetensorsFolder& folder, const std::filesystem::path& model_folder) {
  const std::vector<std::string> names = folder.names();
  for (const Sign& sign : kSigns) {
    const auto found = std::ranges::find_if(names, [&](const std::string& name) { return has_sign(name, sign); });
    if (found == names.end()) continue;
    throw FormatError(fmt::format("{}: tensor '{}': this checkpoint holds {}{}; {}",
                                  folder.find(*found)->file->path().string(), *found, sign.what,
                                  sign.kind == kQuantized ? stated_method(model_folder) : "", advice(sign)));
  }
}

}  // namespace nkat::models
