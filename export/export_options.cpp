#include "export/export_options.h"

#include <fmt/format.h>

#include <algorithm>

#include "export/quantization_mix.h"

namespace nkat::exporting {
namespace {

std::vector<std::string> complaints_about(const ExportOptions& config, const OptionList& options) {
  std::vector<std::string> complaints;
  const std::string quantization = config.resolved_quantization();
  const bool folder = config.format == "hf";
  if (folder && quantization != "f32" && quantization != "f16" && quantization != "bf16") {
    complaints.push_back(fmt::format("--quantization {}: a Hugging Face folder holds f32, f16 or bf16", quantization));
  }
  for (const char* name : {"context-length", "name"}) {
    if (folder && options.given(name)) complaints.push_back(fmt::format("--{} belongs to --format gguf", name));
  }
  if (!folder && options.given("max-shard-mib")) complaints.push_back("--max-shard-mib belongs to --format hf");
  if (!config.importance.files.empty() && (folder || !uses_importance(*parse_mix(quantization)))) {
    complaints.push_back(
        fmt::format("--importance: {} rounds each weight alone; it needs --quantization q4_0, q4_k_s, q4_k_m, q5_k_s, "
                    "q5_k_m or q6_k, in a GGUF file",
                    quantization));
  }
  for (const char* name : {"importance-tokens", "max-sequence-length"}) {
    if (config.importance.files.empty() && options.given(name))
      complaints.push_back(fmt::format("--{} belongs to --importance", name));
  }
  if (config.adapter.empty() && config.allow_base_mismatch)
    complaints.push_back("--allow-base-mismatch needs --adapter");
  return complaints;
}

}  // namespace

std::string ExportOptions::resolved_quantization() const {
  if (quantization != "auto") return quantization;
  return format == "hf" ? "f32" : "q8_0";
}

void declare_options(OptionList& options, ExportOptions& config) {
  options.add("model-path", config.model_path,
              {.help = "model folder in Hugging Face format", .value = "DIR", .required = true});
  options.add("adapter", config.adapter,
              {.help = "adapter or checkpoint folder; without it the base alone is exported", .value = "DIR"});
  options.add("output", config.output,
              {.help = "the GGUF file, or with --format hf the folder, to write", .value = "PATH", .required = true});
  options.add("format", config.format, {.help = "what to write", .choices = {"gguf", "hf"}});
  std::vector<std::string> quantizations = mix_names();
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
  options.add("importance", config.importance.files,
              {.help = "JSONL files of text like what the model will serve, as FILE or FILE:N: errors of the rounding "
                       "count by how strongly it drives each column; for four to six bits",
               .value = "FILE"});
  options.add("importance-tokens", config.importance.tokens,
              {.help = "how many of its tokens to measure on, from the first on", .minimum = 1, .maximum = 1 << 24});
  options.add("max-sequence-length", config.importance.max_sequence_length,
              {.help = "tokens of its longest sample; longer ones are cut", .minimum = 2, .maximum = 131072});
  options.add("self-test", config.self_test,
              {.help = "tensors: decode what was written and say how much of the adapter survived",
               .choices = {"tensors", "off"}});
  options.add(
      "allow-base-mismatch", config.allow_base_mismatch,
      {.help = "merge into a base that the adapter was not trained on: its rotations then act on other features, "
               "and nobody has measured the result"});
  options.add("json", config.json, {.help = "print the report as JSON"});
  options.add_check([&options, &config] { return complaints_about(config, options); });
}

}  // namespace nkat::exporting
