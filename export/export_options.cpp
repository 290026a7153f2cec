#include "export/export_options.h"

#include <algorithm>
#include <cctype>

#include <fmt/format.h>

#include "core/error.h"
#include "core/message.h"
#include "core/utf8.h"
#include "data/quantize/ggml_type.h"
#include "export/gguf/quantization_recipe.h"
#include "export/verify/adapter_retention.h"

namespace nkat::exporting {
namespace {

void add_self_test_complaints(const ExportOptions& config, const OptionList& options,
                              std::vector<std::string>& complaints) {
  try {
    RetentionLimits(config.minimum_survived, config.maximum_noise);
  } catch (const ConfigError& error) {
    complaints.emplace_back(error.what());
  }
  for (const char* name : {"minimum-survived", "maximum-noise"}) {
    if (config.self_test == "off" && options.given(name))
      complaints.push_back(fmt::format("--{} needs --self-test full or tensors", name));
  }
  if (config.self_test != "full" && options.given("maximum-kl"))
    complaints.emplace_back("--maximum-kl needs --self-test full");
}

void add_text_complaints(const ExportOptions& config, std::vector<std::string>& complaints) {
  for (const auto& [name, text] : {std::pair{"output", &config.output}, std::pair{"name", &config.name}}) {
    if (find_invalid_utf8(*text) != std::string::npos)
      complaints.push_back(fmt::format("--{}: UTF-8 was expected, found other bytes", name));
  }
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
  const bool folder = config.format == "hf";
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
  add_text_complaints(config, complaints);
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
  options.add("importance", importance.files,
              {.help = "JSONL files of text like what the model will serve (FILE:N uses one N times): errors of the "
                       "rounding count by how strongly it drives each column; for four to six bits",
               .value = "FILE"});
  options.add("importance-tokens", importance.tokens,
              {.help = "how many of its tokens to measure on, from the first on", .minimum = 1, .maximum = 1 << 24});
  options.add("max-sequence-length", importance.max_sequence_length,
              {.help = "tokens of its longest sample; longer ones are cut", .minimum = 2, .maximum = 131072});
}

void declare_self_test(OptionList& options, ExportOptions& config) {
  options.add(
      "self-test", config.self_test,
      {.help = "full: before the file gets its name, decode every tensor, say how much of the adapter survived, "
               "and compare logits with backbone + adapter; tensors: without logits",
       .choices = {"full", "tensors", "off"}});
  options.add("minimum-survived", config.minimum_survived,
              {.help = "a layer's change to ffn_down is lost where less of it survives, by stored type (q4_K=0.3) or "
                       "for all; without: all=0.5. Lost layers end in exit code 5",
               .value = "TYPE=SHARE"});
  options.add("maximum-noise", config.maximum_noise,
              {.help = "or where the type's rounding noise is larger, in units of the change; without: all=4",
               .value = "TYPE=RATIO"});
  options.add("maximum-kl", config.maximum_kl,
              {.help = "a file whose mean KL from backbone + adapter is larger, in nats a token, is not put in place; "
                       "0: by the coarsest type, from 1e-6 (f32) over 0.02 (q8_0) to 1 (q4); 1000 takes any",
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
  return format == "hf" ? "f32" : "q8_0";
}

void declare_options(OptionList& options, ExportOptions& config) {
  options.add("model-path", config.model_path, {.help = "model folder in Hugging Face format", .value = "DIR"});
  options.add("adapter", config.adapter,
              {.help = "adapter or checkpoint folder; without it the base alone is exported", .value = "DIR"});
  options.add("output", config.output,
              {.help = "the GGUF file, or with --format hf the folder, to write", .value = "PATH", .required = true});
  options.add("patch", config.patch, {.help = "the old spelling of `nkat patch BASE.gguf`", .value = "BASE.gguf"});
  declare_patch_type(options, config);
  options.add("format", config.format, {.help = "what to write", .choices = {"gguf", "hf"}});
  std::vector<std::string> quantizations = recipe_names();
  quantizations.insert(quantizations.begin(), "auto");
  options.add("quantization", config.quantization,
              {.help = "how weights are stored; auto: q8_0, with --format hf f32", .choices = quantizations});
  options.add("context-length", config.context_length,
              {.help = "context that the file names as the model's, in tokens; 0: up to where longrope begins "
                       "(4096 for Phi-3.5), so that a plain start of llama.cpp takes the short factors",
               .minimum = 0,
               .maximum = 1 << 24});
  options.add(
      "max-shard-mib", config.max_shard_mib,
      {.help = "a safetensors file holds at most so many MiB, or one tensor", .minimum = 1, .maximum = 1 << 20});
  options.add("name", config.name,
              {.help = "general.name; llama.cpp treats the tokenizer as Phi-3's only where it holds phi-3 or phi3",
               .value = "TEXT"});
  declare_importance(options, config.importance);
  declare_self_test(options, config);
  declare_mismatch_and_json(options, config);
  options.add_check([&options, &config] { return complaints_about(config, options); });
}

void declare_patch_options(OptionList& options, ExportOptions& config) {
  options.add("file", config.patch,
              {.help = "a quantized phi3 GGUF file of the adapter's base, made by any tool",
               .value = "BASE.gguf",
               .required = true});
  options.add("adapter", config.adapter, {.help = "adapter or checkpoint folder", .value = "DIR", .required = true});
  options.add("output", config.output, {.help = "the GGUF file to write", .value = "FILE", .required = true});
  options.add(
      "model-path", config.model_path,
      {.help = "model folder to merge from, which must have the file's norms; without it the file's own weights "
               "are merged",
       .value = "DIR"});
  declare_patch_type(options, config);
  declare_self_test(options, config);
  declare_mismatch_and_json(options, config);
  options.add_check([&options, &config] {
    std::vector<std::string> complaints;
    add_text_complaints(config, complaints);
    add_self_test_complaints(config, options, complaints);
    return complaints;
  });
}

}  // namespace nkat::exporting
