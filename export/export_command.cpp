#include <algorithm>
#include <chrono>
#include <functional>
#include <iostream>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "core/cli/log.h"
#include "core/error.h"
#include "core/files/atomic_file.h"
#include "core/message.h"
#include "core/signals.h"
#include "data/formats/gguf_reader.h"
#include "data/text/chat_template.h"
#include "data/text/gguf_vocabulary.h"
#include "data/text/llama_cpp/pre_tokenizers.h"
#include "data/text/tokenizer.h"
#include "data/text/tokenizer_files.h"
#include "export/commands.h"
#include "export/export_report.h"
#include "export/gguf/gguf_export.h"
#include "export/gguf/gguf_order.h"
#include "export/gguf/modelfile.h"
#include "export/hf/hf_export.h"
#include "export/merge/export_source.h"
#include "export/output/output_files.h"
#include "export/verify/self_test.h"

namespace nkat::exporting {
namespace {

std::string checked_name(const ExportOptions& options, const Vocabulary& vocabulary) {
  const bool strips = vocabulary.flags.strips_after_special;
  if (options.name.empty()) return default_name(options.model_path, !options.adapter.empty(), strips);
  if (names_phi3(options.name) == strips) return options.name;
  throw ConfigError(fmt::format(
      "--name: {}; by the name llama.cpp decides whether white space after role tokens is stripped, as this tokenizer "
      "{}",
      expected(fmt::format("a name {} \"phi-3\" or \"phi3\"", strips ? "with" : "without"), '"' + options.name + '"'),
      strips ? "does" : "doesn't"));
}

void warn_of_flags(const TokenFlags& flags) {
  if (!flags.stripped_otherwise.empty()) {
    log::warning(fmt::format("llama.cpp will treat white space around {} differently from this tokenizer",
                             fmt::join(flags.stripped_otherwise, ", ")));
  }
  if (!flags.matched_otherwise.empty()) {
    log::warning(fmt::format(
        "llama.cpp will find {} anywhere in a text, this tokenizer only at its beginning and after a space, "
        "which belongs to the token (its flag normalized is set)",
        fmt::join(flags.matched_otherwise, ", ")));
  }
}

gguf::GgufMetadata make_metadata(const ExportOptions& options, const ExportSource& source, QuantizationRecipe recipe,
                                 std::uint32_t context_length) {
  const Vocabulary vocabulary = read_vocabulary(options.model_path, source.config);
  warn_of_flags(vocabulary.flags);
  if (!vocabulary.cut_otherwise.empty()) {
    log::warning(fmt::format("llama.cpp cuts some texts into other tokens than this tokenizer: {}",
                             fmt::join(vocabulary.cut_otherwise, "; ")));
  }
  gguf::GgufMetadata metadata = model_metadata(
      source.config, vocabulary, {checked_name(options, vocabulary), data::chat_template_source(options.model_path)},
      recipe, context_length);
  add_provenance(source.provenance, metadata);
  return metadata;
}

// The file's own vocabulary beside the folder's tokenizer; of names that are not read from files nothing is known.
void warn_of_other_cut(const data::Tokenizer& tokenizer, const gguf::GgufMetadata& metadata) {
  if (data::find_pre_tokenizer(metadata.string("tokenizer.ggml.pre")) == nullptr) return;
  const data::Tokenizer by_file(data::read_gguf_vocabulary(metadata, "the file to be exported"));
  if (const auto cut = data::find_other_cut(tokenizer, by_file)) {
    log::warning(fmt::format("llama.cpp cuts {} into [{}], the folder's tokenizer into [{}]",
                             nlohmann::json(cut->text).dump(), fmt::join(cut->right, ", "),
                             fmt::join(cut->left, ", ")));
  }
}

Importance importance_of(const ExportOptions& options, const ExportSource& source, ExportReport& report) {
  if (options.importance.files.empty()) return {};
  Importance importance = measure_importance(options.importance, options.model_path, source.config, source.weights);
  report.importance_files = options.importance.files;
  report.importance_tokens = importance.tokens();
  report.importance_sha256 = importance.sha256();
  return importance;
}

// The texts of the tokens that close an answer, for the Modelfile.
std::vector<std::string> end_texts(const data::ChatTemplate& chat_template, const data::Tokenizer& tokenizer) {
  if (chat_template.known() == nullptr)
    log::warning("the chat template has no Go form: the Modelfile for Ollama has no TEMPLATE, only stops");
  std::vector<std::string> texts;
  for (const std::int32_t token : chat_template.end_of_turn_tokens(tokenizer))
    texts.push_back(tokenizer.decode(std::span(&token, 1)));
  return texts;
}

void export_gguf(const ExportOptions& options, const ExportSource& source, ExportReport& report) {
  require_expressible(source.config, options.model_path);
  const data::Tokenizer tokenizer(options.model_path);  // refuses another kind by name
  const auto chat_template = data::ChatTemplate::from_model_folder(options.model_path);
  const QuantizationRecipe recipe = *parse_recipe(report.quantization);
  report.context_length =
      options.context_length > 0 ? options.context_length : source.config.original_max_position_embeddings;
  gguf::GgufMetadata metadata =
      make_metadata(options, source, recipe, static_cast<std::uint32_t>(report.context_length));
  warn_of_other_cut(tokenizer, metadata);
  const std::vector<PlannedTensor> plan =
      plan_tensors(source.config, recipe, options.write_tied_head ? TiedHead::kWritten : TiedHead::kLeftOut);
  if (const std::string warning = window_warning(source.config); !warning.empty()) log::warning(warning);
  create_folders(folder_of(options.output));
  if (!options.importance.files.empty()) require_space(options.output, metadata, plan);
  const Importance importance = importance_of(options, source, report);
  add_importance(importance, metadata);
  report.fallbacks = fallbacks(plan);
  for (const PlannedTensor& one : plan) ++report.tensors[gguf::traits(one.file.type).name];
  SelfTestOptions test = self_test_options(options, source.config, stored_types(plan));
  if (importance.tokens() > 0)
    test.is_weighted = [&](const models::TensorSpec& tensor) { return !importance.of(tensor).empty(); };
  report.served_context = served_context(source.config);
  report.has_long_factors = !source.config.long_factor.empty();
  const GgufOrderedWeights ordered(source.weights, source.config);
  write_merged_gguf(options.output, metadata, plan, {ordered, importance}, [&](const fs::path& written) {
    test_written(options, report, [&] { return self_test_gguf(written, plan, source.config, source.weights, test); });
    remove_outdated_report(options.output);
  });
  report.in_place = true;
  report.bytes = fs::file_size(options.output);
  report.modelfile = modelfile_path(options.output).string();
  write_file_atomically(report.modelfile,
                        marked(modelfile(fs::path(options.output).filename().string(), chat_template,
                                         report.served_context, end_texts(chat_template, tokenizer))));
}

void export_folder(const ExportOptions& options, const ExportSource& source, const std::function<double()>& seconds,
                   ExportReport& report) {
  const gguf::GgmlType type = *gguf::parse_ggml_type(report.quantization);
  const SelfTestOptions test = self_test_options(options, source.config, {type});
  create_folders(folder_of(options.output));
  AtomicFolder folder(options.output);
  write_merged_folder(folder,
                      {.model = options.model_path,
                       .type = type,
                       .shard_bytes = static_cast<std::uint64_t>(options.max_shard_mib) << 20},
                      source.config, source.weights);
  report.files.emplace_back(kReportFile);
  for (const auto& file : fs::directory_iterator(folder.temporary_path())) {
    report.files.push_back(file.path().filename().string());
    report.bytes += file.file_size();
  }
  std::ranges::sort(report.files);
  test_written(options, report, [&] { return self_test_folder(folder.temporary_path(), type, source.weights, test); });
  report.tensors[gguf::traits(type).name] = static_cast<int>(models::checkpoint_tensors(source.config).size());
  report.report_file = (fs::path(options.output) / kReportFile).string();
  report.seconds = seconds();
  report.in_place = true;
  folder.write(kReportFile, json_text(report_json(report)));
  folder.publish();
}

ExitCode run_export(ExportOptions options) {
  const auto started = std::chrono::steady_clock::now();
  const auto seconds = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  };
  options.output = resolved_output(options.output).string();
  check_output(options);
  const ExportSource source = open_source(options);
  ExportReport report;
  report.output = options.output;
  report.format = name_of(options.format, kExportFormatNames);
  report.quantization = options.resolved_quantization();
  report.provenance = source.provenance;
  report.self_test = name_of(options.self_test, kSelfTestNames);
  const auto work = [&] {
    if (options.format == ExportFormat::kHf) return export_folder(options, source, seconds, report);
    export_gguf(options, source, report);
    report.seconds = seconds();
    report.report_file = report_path(options.output).string();
    keep_report(report.report_file, report_json(report), options.output);
  };
  const std::optional<CheckError> failed = failed_check(work);
  std::cout << (options.json ? json_text(report_json(report)) : report_text(report)) << std::flush;
  if (failed) throw *failed;
  require_retention(report);
  return ExitCode::kDone;
}

}  // namespace

Command make_export_command() {
  auto config = std::make_shared<ExportOptions>();
  Command command{.name = "export", .summary = "writes the merged model as a GGUF file or Hugging Face folder"};
  command.description =
      "Folds an adapter into its base in float32 and writes what llama.cpp, Ollama and koboldcpp load (with a "
      "Modelfile beside it), or a folder for transformers. Before the file is published it is opened again, its logits "
      "are compared with backbone + adapter, and the report (export.json) says, layer by layer, how much of the "
      "adapter's change is in it.";
  declare_options(*command.options, *config);
  command.uses_tensors = true;
  command.run = [config, options = command.options] {
    if (config->is_patch()) return run_patch_flag(*options);
    install_stop_signals();
    if (config->format == ExportFormat::kGguf && gguf::is_gguf_model(config->model_path))
      return run_export_of_gguf(*config);
    return run_export(*config);
  };
  return command;
}

}  // namespace nkat::exporting
