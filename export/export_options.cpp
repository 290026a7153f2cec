#include "export/export_options.h"

#include <algorithm>
#include <cctype>

#include <fmt/format.h>

#include "core/error.h"
#include "core/message.h"
#include "data/quantize/ggml_type.h"
#include "export/gguf/quantization_recipe.h"
#include "export/verify/adapter_retention.h"

namespace nkat::exporting {
namespace {

void add_self_test_complaints(const ExportOptions& config, const OptionList& options,
                              std::vector<std::string>& complaints) {
  try {
    RetentionLimits(config.min_retention, config.max_noise);
  } catch (const ConfigError& error) {
    complaints.emplace_back(error.what());
  }
  for (const char* name : {"min-retention", "max-noise"}) {
    if (config.self_test == SelfTestScope::kOff && options.given(name))
      complaints.push_back(fmt::format("--{} needs --self-test full or tensors", name));
  }
  if (config.self_test != SelfTestScope::kFull && options.given("maximum-kl"))
    complaints.emplace_back("--maximum-kl needs --self-test full");
}

// Of types that can be encoded.
std::vector<std::string> patch_types() {
  std::vector<std::string> names;
  for (std::uint32_t id = 0; id <= static_cast<std::uint32_t>(gguf::GgmlType::kQ2_0); ++id) {
    const auto type = gguf::ggml_type_of(id);
    if (!type || !gguf::traits(*type).has_codec) continue;
    std::string name = gguf::traits(*type).name;
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    names.push_back(std::move(name));
  }
  return names;
}

std::vector<std::string> complaints_about(const ExportOptions& config, const OptionList& options) {
  if (config.is_patch()) return {};  // the rules are those of `nkat patch`
  std::vector<std::string> complaints;
  if (config.model_path.empty()) complaints.push_back("--model-path is required (model folder in Hugging Face format)");
  if (options.given("patch")) complaints.push_back("--patch: " + expected("a GGUF file", "nothing"));
  if (options.given("patch-type")) complaints.push_back("--patch-type belongs to --patch");
  const std::string quantization = config.resolved_quantization();
  const bool folder = config.format == ExportFormat::kHf;
  if (folder && quantization != "f32" && quantization != "f16" && quantization != "bf16") {
    complaints.push_back(fmt::format("--quantization {}: a Hugging Face folder holds f32, f16 or bf16", quantization));
  }
  for (const char* name : {"context-length", "name"}) {
    if (folder && options.given(name)) complaints.push_back(fmt::format("--{} belongs to --format gguf", name));
  }
  if (!folder && options.given("max-shard-mib")) complaints.push_back("--max-shard-mib belongs to --format hf");
  if (!config.importance.files.empty() && (folder || !uses_importance(*parse_recipe(quantization)))) {
    complaints.push_back(
        fmt::format("--importance: {} rounds each weight alone; it needs --quantization q4_0, q4_k_s, q4_k_m, q5_k_s, "
                    "q5_k_m or q6_k, in a GGUF file",
                    quantization));
  }
  for (const char* name : {"importance-tokens", "max-sequence-length"}) {
    if (config.importance.files.empty() && options.given(name))
      complaints.push_back(fmt::format("--{} belongs to --importance", name));
  }
  add_self_test_complaints(config, options, complaints);
  if (config.adapter.empty() && config.allow_base_mismatch)
    complaints.push_back("--allow-base-mismatch needs --adapter");
  return complaints;
}

void declare_patch_type(OptionList& options, ExportOptions& config) {
  options.add(
      "patch-type", config.patch_type,
      {.help = "type of the replaced tensors, where the file's own has no encoder here or keeps too little; empty: "
               "each keeps its own",
       .choices = patch_types()});
}

void declare_importance(OptionList& options, ImportanceData& importance) {
  options.add(
      "importance", importance.files,
      {.help = "JSONL files like what the model will serve (FILE:N uses a file N times): weights rounding errors "
               "by the importance matrix measured on them; for four to six bits",
       .metavar = "FILE"});
  options.add(
      "importance-tokens", importance.tokens,
      {.help = "tokens to measure the importance matrix on, from the first on", .minimum = 1, .maximum = 1 << 24});
  options.add("max-sequence-length", importance.max_sequence_length,
              {.help = "length limit of an importance sample; longer ones are cut",
               .unit = "tokens",
               .minimum = 2,
               .maximum = 131072});
}

void declare_self_test(OptionList& options, ExportOptions& config) {
  options.add("self-test", config.self_test, kSelfTestNames,
              {.help = "verification before the file is published. full: decode every tensor, measure how much of the "
                       "adapter is retained, compare logits with backbone + adapter; tensors: without logits"});
  options.add("min-retention", config.min_retention,
              {.help = fmt::format("smallest fraction of a layer's change that the file must retain, by stored type "
                                   "(q4_K=0.3) or for all, by default all={}. A layer below it is lost: exit code 5",
                                   RetentionLimit{}.minimum_retained),
               .metavar = "TYPE=FRACTION",
               .alias = "minimum-survived"});
  options.add("max-noise", config.max_noise,
              {.help = fmt::format("largest rounding noise of a layer relative to its change, by stored type or for "
                                   "all, by default all={}. A layer above it is lost",
                                   RetentionLimit{}.maximum_noise),
               .metavar = "TYPE=RATIO",
               .alias = "maximum-noise"});
  options.add(
      "maximum-kl", config.maximum_kl,
      {.help = "largest mean KL divergence from backbone + adapter; a file above it is not published. 0: by the "
               "coarsest type, from 1e-6 (f32) over 0.02 (q8_0) to 1 (q4); 1000 accepts any",
       .unit = "nats/token",
       .minimum = 0});
}

void declare_mismatch_and_json(OptionList& options, ExportOptions& config) {
  options.add(
      "allow-base-mismatch", config.allow_base_mismatch,
      {.help = "merge into a base that the adapter was not trained on: its rotations then act on other features, "
               "and nobody has measured the result"});
  options.add("json", config.json, {.help = "print the report as JSON"});
}

}  // namespace

std::string ExportOptions::resolved_quantization() const {
  if (quantization != "auto") return quantization;
  return format == ExportFormat::kHf ? "f32" : "q8_0";
}

void declare_options(OptionList& options, ExportOptions& config) {
  options.add("model-path", config.model_path, {.help = "model folder in Hugging Face format", .metavar = "DIR"});
  options.add("adapter", config.adapter,
              {.help = "adapter or checkpoint folder; without it the base alone is exported", .metavar = "DIR"});
  options.add("output", config.output,
              {.help = "the GGUF file, or with --format hf the folder, to write", .metavar = "PATH", .required = true});
  options.add("patch", config.patch, {.help = "the old spelling of `nkat patch BASE.gguf`", .metavar = "BASE.gguf"});
  declare_patch_type(options, config);
  options.add("format", config.format, kExportFormatNames, {.help = "output format"});
  std::vector<std::string> quantizations = recipe_names();
  quantizations.insert(quantizations.begin(), "auto");
  options.add("quantization", config.quantization,
              {.help = "storage format of the weights; auto: q8_0, with --format hf f32", .choices = quantizations});
  options.add("context-length", config.context_length,
              {.help = "context length that the file declares. 0: up to where longrope begins (4096 for Phi-3.5), so "
                       "that llama.cpp uses the short rope factors by default",
               .unit = "tokens",
               .minimum = 0,
               .maximum = 1 << 24});
  options.add("write-tied-head", config.write_tied_head,
              {.help = "store output.weight of a tied model a second time, for loaders that ask for it; llama.cpp and "
                       "what is built on it need it no more"});
  options.add("max-shard-mib", config.max_shard_mib,
              {.help = "size limit of a safetensors file, unless one tensor is larger",
               .unit = "MiB",
               .minimum = 1,
               .maximum = 1 << 20});
  options.add("name", config.name,
              {.help = "general.name; llama.cpp treats the tokenizer as Phi-3's only where it contains phi-3 or phi3",
               .metavar = "TEXT"});
  declare_importance(options, config.importance);
  declare_self_test(options, config);
  declare_mismatch_and_json(options, config);
  options.add_check([&options, &config] { return complaints_about(config, options); });
}

void declare_patch_options(OptionList& options, ExportOptions& config) {
  options.add("file", config.patch,
              {.help = "a quantized GGUF file of the adapter's base, made by any tool",
               .metavar = "BASE.gguf",
               .required = true});
  options.add("adapter", config.adapter, {.help = "adapter or checkpoint folder", .metavar = "DIR", .required = true});
  options.add("output", config.output, {.help = "the GGUF file to write", .metavar = "FILE", .required = true});
  options.add(
      "model-path", config.model_path,
      {.help = "model folder to merge from, which must have the file's norms; without it the file's own weights "
               "are merged",
       .metavar = "DIR"});
  declare_patch_type(options, config);
  declare_self_test(options, config);
  declare_mismatch_and_json(options, config);
  options.add_check([&options, &config] {
    std::vector<std::string> complaints;
    add_self_test_complaints(config, options, complaints);
    return complaints;
  });
}

}  // namespace nkat::exporting
