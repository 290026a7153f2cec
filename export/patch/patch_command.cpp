#include <algorithm>
#include <chrono>
#include <iostream>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "core/cli/log.h"
#include "core/error.h"
#include "core/files/atomic_file.h"
#include "core/message.h"
#include "core/signals.h"
#include "export/commands.h"
#include "export/export_options.h"
#include "export/export_report.h"
#include "export/gguf/modelfile.h"
#include "export/output/output_files.h"
#include "export/patch/patch.h"
#include "export/verify/self_test.h"

namespace nkat::exporting {
namespace {

struct PatchReport {
  ExportReport report;  // format "gguf-patch"; quantization: by the file's general.file_type
  std::string base;
  std::string merged_from;
  std::string paired_by;
  std::vector<std::string> replaced;  // "ffn_down.weight: q4_1 to q8_0 (6)"
  bool importance = false;            // the base was made with an importance matrix
};

void require_another_file(const ExportOptions& options) {
  std::error_code ignored;  // the reader names a missing file
  if (fs::equivalent(options.output, options.patch, ignored))
    throw ConfigError(fmt::format("--output: {} is the file that is patched; name another", options.output));
}

std::string quantization_of(const gguf::GgufMetadata& metadata) {
  const gguf::GgufValue* type = metadata.find("general.file_type");
  if (type == nullptr) return "unnamed types";
  for (const std::string& name : recipe_names()) {
    if (type->is_number<std::uint32_t>() && file_type(*parse_recipe(name)) == type->element<std::uint32_t>())
      return name;
  }
  return "file type " + type->preview(20);
}

std::vector<std::string> replacements(const Patch& patch) {
  std::map<std::string, int> counts;
  for (const PlannedTensor& one : patch.plan) {
    if (!one.source) continue;
    const char* before = gguf::traits(patch.base.find(one.file.name)->type).name;
    const char* after = gguf::traits(one.file.type).name;
    ++counts[fmt::format("{}{}", before, before == after ? "" : fmt::format(" to {}", after))];
  }
  std::vector<std::string> lines;
  for (const auto& [types, count] : counts) lines.push_back(fmt::format("ffn_down.weight: {} ({})", types, count));
  return lines;
}

// Logits need a tokenizer for their prompts, and a decoder for every tensor of the file.
ExportOptions with_possible_self_test(ExportOptions options, const Patch& patch) {
  if (options.self_test != SelfTestScope::kFull || (!options.model_path.empty() && can_decode_all(patch)))
    return options;
  const std::string missing =
      options.model_path.empty() ? "the tokenizer of --model-path" : "decoders for all of the file's types";
  if (options.maximum_kl > 0)
    throw ConfigError(fmt::format("--maximum-kl: the logits of this file can't be compared: that needs {}", missing));
  log::warning("the self-test covers tensors only: logits need " + missing);
  options.self_test = SelfTestScope::kTensors;
  return options;
}

nlohmann::ordered_json report_json(const PatchReport& report) {
  nlohmann::ordered_json json = report_json(report.report);
  if (report.report.provenance.base_sha256.empty()) json["base_sha256"] = nullptr;
  json["patched"] = report.base;
  json["merged_from"] = report.merged_from;
  json["paired_by"] = report.paired_by;
  json["replaced"] = report.replaced;
  json["importance_matrix"] = report.importance;
  return json;
}

std::string report_text(const PatchReport& report) {
  std::string text = report_text(report.report);
  text += fmt::format("\n{} with the adapter merged into these tensors, all others bit for bit:\n", report.base);
  for (const std::string& line : report.replaced) text += fmt::format("  {}\n", line);
  text += report.merged_from == kMergedFromFile
              ? "merged from the file's own weights: their quantization noise stays, and in the same type changes "
                "under half a "
                "step are rounded back; --model-path merges from the base's weights, a finer --patch-type keeps more\n"
              : "merged from the checkpoint's weights\n";
  if (report.paired_by == "nothing") text += "nothing proves that the adapter belongs to this file\n";
  if (report.importance)
    text += "the file was made with an importance matrix; it applies to the copied tensors, not to the replaced ones\n";
  return text + fmt::format("\nserve it as you served {} (-c {} keeps llama.cpp at the short rope factors)\n",
                            shell_quoted(report.base), report.report.served_context);
}

// Writes options.output and fills the report, seconds aside.
void write_and_report(const ExportOptions& options, PatchReport& all) {
  require_another_file(options);
  const gguf::GgufFile base(options.patch);
  const PatchSource source = open_patch_source(base, options);
  const auto type = options.patch_type.empty() ? std::nullopt : gguf::parse_ggml_type(options.patch_type);
  const Patch patch = plan_patch(base, source, type);
  const ExportOptions possible = with_possible_self_test(options, patch);

  all.base = options.patch;
  all.merged_from = source.merged_from;
  all.paired_by = source.paired_by;
  all.replaced = replacements(patch);
  all.importance = base.metadata().find("quantize.imatrix.file") != nullptr;
  ExportReport& report = all.report;
  report.output = options.output;
  report.format = "gguf-patch";
  report.quantization = quantization_of(base.metadata());
  report.context_length = base.metadata().number<std::uint32_t>(base.metadata().string("general.architecture") + ".context_length");
  report.served_context = served_context(source.config);
  for (const PlannedTensor& one : patch.plan) ++report.tensors[gguf::traits(one.file.type).name];
  report.fallbacks = fallbacks(patch.plan);
  report.provenance = source.provenance;
  report.self_test = name_of(possible.self_test, kSelfTestNames);
  SelfTestOptions test = self_test_options(possible, source.config, stored_types(patch.plan));
  test.judges_rounding = source.merged_from == kMergedFromCheckpoint;
  create_folders(folder_of(options.output));
  write_patch(options.output, patch, [&](const fs::path& written) {
    test_written(possible, report, [&] { return self_test_patch(written, patch, test); });
    remove_outdated_report(options.output);
  });
  report.in_place = true;
  report.bytes = fs::file_size(options.output);
  report.report_file = report_path(options.output).string();
}

ExitCode run_patch(ExportOptions options) {
  const auto started = std::chrono::steady_clock::now();
  options.output = resolved_output(options.output).string();
  check_output(options);
  PatchReport patch;
  patch.report.output = options.output;
  const auto work = [&] {
    write_and_report(options, patch);
    patch.report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
    keep_report(patch.report.report_file, report_json(patch), options.output);
  };
  const std::optional<CheckError> failed = failed_check(work);
  std::cout << (options.json ? json_text(report_json(patch)) : report_text(patch)) << std::flush;
  if (failed) throw *failed;
  require_retention(patch.report);
  return ExitCode::kDone;
}

// The option's value as it would stand behind its flag.
std::vector<std::string> words_of(const OptionList::Option& option) {
  const nlohmann::ordered_json value = option.value();
  if (value.is_array()) return value.get<std::vector<std::string>>();
  return {value.is_string() ? value.get<std::string>() : value.dump()};
}

}  // namespace

Command make_patch_command() {
  auto config = std::make_shared<ExportOptions>();
  Command command{
      .name = "patch",
      .summary = "an existing GGUF file with an adapter merged in",
      .description =
          "Replaces the ffn_down tensors that the adapter changes and copies all else bit for bit. The file is "
          "paired with the adapter by its norms, which must be those of --model-path or of the base that "
          "the adapter names.",
      .positional = "file"};
  declare_patch_options(*command.options, *config);
  command.uses_tensors = true;
  command.run = [config] {
    install_stop_signals();
    return run_patch(*config);
  };
  return command;
}

ExitCode run_patch_flag(const OptionList& given) {
  log::warning("nkat export --patch is now `nkat patch BASE.gguf`");
  const Command patch = make_patch_command();
  std::map<std::string, std::vector<std::string>> flags;
  std::vector<std::string> complaints;
  for (const OptionList::Option& option : given.options()) {
    if (!option.given) continue;
    const std::string name = option.name == "patch" ? patch.positional : option.name;
    if (std::ranges::find(patch.options->options(), name, &OptionList::Option::name) == patch.options->options().end())
      complaints.push_back(fmt::format("--{} doesn't go with --patch", option.name));
    flags[name] = words_of(option);
  }
  if (!complaints.empty()) throw ConfigError(fmt::format("{}", fmt::join(complaints, "\n")));
  patch.options->apply(flags, nlohmann::ordered_json::object(), "");
  return patch.run();
}

}  // namespace nkat::exporting
