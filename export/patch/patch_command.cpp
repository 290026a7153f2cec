#include <algorithm>
#include <chrono>
#include <functional>
#include <iostream>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "core/cli/log.h"
#include "core/error.h"
#include "core/files/atomic_file.h"
#include "core/signals.h"
#include "core/utf8.h"
#include "data/text/added_tokens.h"
#include "export/commands.h"
#include "export/export_options.h"
#include "export/gguf/model_metadata.h"
#include "export/gguf/modelfile.h"
#include "export/gguf/token_flags.h"
#include "export/output/output_files.h"
#include "export/patch/patch.h"
#include "export/patch/patch_report.h"
#include "export/verify/self_test.h"

namespace nkat::exporting {
namespace {

// Of a patch or of an export from a GGUF file.
struct Job {
  ExportOptions options;
  gguf::GgufFile base;
  std::string format;
  std::function<PatchSource(const gguf::GgufFile&)> open;
  std::function<Patch(const gguf::GgufFile&, const PatchSource&)> plan;
  bool is_export = false;
};

void require_another_file(const ExportOptions& options, const gguf::GgufFile& base) {
  for (const fs::path& part : base.parts()) {
    std::error_code ignored;  // a new file is no other's equivalent
    if (!fs::equivalent(options.output, part, ignored)) continue;
    throw ConfigError(fmt::format("--output: {} is {}; name another", options.output,
                                  options.is_patch() ? "the file that is patched" : "the model itself"));
  }
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

// Should llama.cpp swallow white space after role tokens? By the checkpoint's tokenizer; without one, of a file with Phi-3's
// tokens, yes. Nothing: not known.
std::optional<bool> strips_after_special(const gguf::GgufFile& base, const ExportOptions& options) {
  if (!options.model_path.empty() && !gguf::is_gguf_model(options.model_path)) {
    const bool normalizes = has_normalizer(options.model_path);
    return compare_flags(data::read_added_tokens(options.model_path), normalizes).strips_after_special;
  }
  return has_phi3_tokens(base.metadata()) ? std::optional(true) : std::nullopt;
}

// llama.cpp and what is built on it go by general.name, which other converters title as they like.
void check_name(const gguf::GgufFile& base, const ExportOptions& options) {
  const std::optional<bool> strips = strips_after_special(base, options);
  if (!strips) return;
  const gguf::GgufValue* found = base.metadata().find(kNameKey);
  const bool is_text = found != nullptr && found->type() == gguf::ValueType::kString;
  const std::string name = !options.name.empty() ? options.name : is_text ? base.metadata().string(kNameKey) : "";
  if (names_phi3(name) == *strips) return;
  const std::string wanted = fmt::format("a name {} \"phi-3\" or \"phi3\"", *strips ? "with" : "without");
  const std::string why = fmt::format(
      "by the name llama.cpp, and with it Ollama and koboldcpp, decides whether white space after role tokens is "
      "stripped, as this tokenizer {}",
      *strips ? "does" : "doesn't");
  const std::string shown = name.empty() ? "none" : '"' + ellipsize(name) + '"';
  if (!options.name.empty()) throw ConfigError(fmt::format("--general-name: {}; {}", expected(wanted, shown), why));
  log::warning(fmt::format("{}: {}: {}; {}. Set it: --general-name {}", base.path().string(), kNameKey,
                           expected(wanted, shown), why,
                           shell_quoted(fitting_name(name.empty() ? base.path().stem().string() : name, *strips))));
}

// Writes options.output and fills the report, seconds aside.
void write_and_report(const Job& job, PatchReport& all) {
  const ExportOptions& options = job.options;
  require_another_file(options, job.base);
  if (options.is_patch()) check_name(job.base, options);
  PatchSource source = job.open(job.base);
  source.general_name = options.name;
  const Patch patch = job.plan(job.base, source);
  const ExportOptions possible = with_possible_self_test(options, patch);

  all = report_of(patch);
  all.is_export = job.is_export;
  ExportReport& report = all.report;
  report.output = options.output;
  report.format = job.format;
  report.self_test = name_of(possible.self_test, kSelfTestNames);
  SelfTestOptions test = self_test_options(possible, source.config, stored_types(patch.plan));
  test.judges_rounding = job.is_export || source.merged_from == kMergedFromCheckpoint;
  create_folders(folder_of(options.output));
  write_patch(options.output, patch, [&](const fs::path& written) {
    test_written(possible, report, [&] { return self_test_patch(written, patch, test); });
    remove_outdated_report(options.output);
  });
  report.in_place = true;
  report.bytes = fs::file_size(options.output);
  report.report_file = report_path(options.output).string();
}

ExitCode run(const Job& job, std::chrono::steady_clock::time_point started) {
  PatchReport patch;
  patch.report.output = job.options.output;
  const auto work = [&] {
    write_and_report(job, patch);
    patch.report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
    keep_report(patch.report.report_file, report_json(patch), job.options.output);
  };
  const std::optional<CheckError> failed = failed_check(work);
  std::cout << (job.options.json ? json_text(report_json(patch)) : report_text(patch)) << std::flush;
  if (failed) throw *failed;
  require_retention(patch.report);
  return ExitCode::kDone;
}

ExitCode run_patch(ExportOptions options) {
  const auto started = std::chrono::steady_clock::now();
  options.output = resolved_output(options.output).string();
  check_output(options);
  const auto type = options.patch_type.empty() ? std::nullopt : gguf::parse_ggml_type(options.patch_type);
  return run(
      {.options = options,
       .base = gguf::GgufFile::with_all_parts(options.patch),
       .format = "gguf-patch",
       .open = [&](const gguf::GgufFile& base) { return open_patch_source(base, options); },
       .plan = [&](const gguf::GgufFile& base, const PatchSource& source) { return plan_patch(base, source, type); }},
      started);
}

// The base's own keys are kept, and what is copied wasn't rounded here.
void refuse_options_of_folders(const ExportOptions& options) {
  std::vector<std::string> complaints;
  const std::string need = "needs a model folder; an export from a GGUF file keeps the file's own keys";
  if (!options.name.empty()) complaints.push_back("--name " + need);
  if (options.context_length > 0) complaints.push_back("--context-length " + need);
  if (!options.importance.files.empty()) complaints.push_back("--importance needs a model folder");
  if (!complaints.empty()) throw ConfigError(fmt::format("{}", fmt::join(complaints, "\n")));
}

// The option's value as it would stand behind its flag.
std::vector<std::string> words_of(const OptionList::Option& option) {
  const nlohmann::ordered_json value = option.value();
  if (value.is_array()) return value.get<std::vector<std::string>>();
  return {value.is_string() ? value.get<std::string>() : value.dump()};
}

}  // namespace

ExitCode run_export_of_gguf(ExportOptions options) {
  const auto started = std::chrono::steady_clock::now();
  refuse_options_of_folders(options);
  options.output = resolved_output(options.output).string();
  check_output(options);
  gguf::GgufFile file = gguf::GgufFile::with_all_parts(options.model_path);
  const bool keeps_types = options.quantization == "auto" && is_quantized(file);
  const auto plan = [&](const gguf::GgufFile& base, const PatchSource& source) {
    if (!keeps_types) return plan_anew(base, source, *parse_recipe(options.resolved_quantization()));
    return plan_finer_patch(base, source, RetentionLimits(options.min_retention, options.max_noise));
  };
  return run({.options = options,
              .base = std::move(file),
              .format = "gguf",
              .open = [&](const gguf::GgufFile& base) { return open_base_source(base, options); },
              .plan = plan,
              .is_export = true},
             started);
}

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
