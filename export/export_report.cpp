#include "export/export_report.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "core/cli/progress.h"
#include "core/files/atomic_file.h"
#include "core/json.h"
#include "core/message.h"
#include "core/version.h"

namespace nkat::exporting {
namespace {

using Json = nlohmann::ordered_json;

std::vector<std::int64_t> layers_with(const ExportReport& report, RetentionStatus status) {
  std::vector<std::int64_t> layers;
  for (const TensorRetention& one : report.found.retention) {
    if (one.status() == status) layers.push_back(one.layer);
  }
  return layers;
}

Json retention_json(const TensorRetention& one) {
  return {{"layer", one.layer},
          {"type", one.type},
          {"change", one.change},
          {"survived", one.retained},
          {"noise", one.noise},
          {"error", one.error},
          {"minimum_survived", one.limit.minimum_retained},
          {"maximum_noise", one.limit.maximum_noise},
          {"fate", status_name(one.status())}};
}

Json importance_json(const ExportReport& report) {
  if (report.importance_files.empty()) return nullptr;
  return {
      {"files", report.importance_files}, {"tokens", report.importance_tokens}, {"sha256", report.importance_sha256}};
}

Json adapter_json(const Provenance& provenance) {
  if (!provenance.has_adapter()) return nullptr;
  Json json = {{"sha256", provenance.adapter_sha256},
               {"base_sha256", provenance.trained_on},
               {"first_layer", provenance.first_layer},
               {"gates", provenance.gates}};
  json["training_step"] = provenance.step ? Json(*provenance.step) : Json(nullptr);
  return json;
}

Json logits_json(const std::optional<LogitComparison>& check) {
  if (!check) return nullptr;
  return {{"prompts", check->prompts},
          {"tokens", check->tokens},
          {"mean_kl", check->mean_kl},
          {"largest_kl", check->largest_kl},
          {"top1_agreement", check->top1_agreement},
          {"base_mean_kl", check->base_mean_kl ? Json(*check->base_mean_kl) : Json(nullptr)},
          {"nearer_than_base", check->base_mean_kl ? Json(check->mean_kl < *check->base_mean_kl) : Json(nullptr)},
          {"maximum_kl", check->maximum_kl}};
}

std::string logits_lines(const LogitComparison& check) {
  std::string text = fmt::format(
      "\nlogits on {} tokens of {} prompts, KL from backbone + adapter in nats per token\n  {:<22} {:.2e}, at most "
      "{:.2e}; the same most likely token in {:.1f} %\n",
      check.tokens, check.prompts, "the file", check.mean_kl, check.largest_kl, 100 * check.top1_agreement);
  if (!check.base_mean_kl) return text;
  text += fmt::format("  {:<22} {:.2e}\n", "base without adapter", *check.base_mean_kl);
  if (check.mean_kl >= *check.base_mean_kl)
    text +=
        "  NO NEARER to the adapted model than its base: the stored type adds more noise than the adapter's change\n";
  return text;
}

// "q4_K" or "q4_K, q6_K": the types in which layers are lost.
std::string lost_types(const std::vector<TensorRetention>& lost) {
  std::set<std::string> types;
  for (const TensorRetention& one : lost) types.insert(one.type);
  return fmt::format("{}", fmt::join(types, ", "));
}

std::vector<TensorRetention> lost_tensors(const ExportReport& report) {
  std::vector<TensorRetention> lost;
  std::ranges::copy_if(report.found.retention, std::back_inserter(lost),
                       [](const TensorRetention& one) { return one.status() == RetentionStatus::kLost; });
  return lost;
}

std::string retention_table(const ExportReport& report) {
  std::string text = "\nretention of the adapter's change to ffn_down (1: all; noise in units of the change)\n";
  text += fmt::format("{:>5}  {:<5} {:>9} {:>9} {:>9}  {}\n", "layer", "type", "change", "retained", "noise", "");
  for (const TensorRetention& one : report.found.retention) {
    if (one.status() == RetentionStatus::kUnchanged) continue;
    text += fmt::format("{:>5}  {:<5} {:>9.2e} {:>9.4f} {:>9.3g}  {}\n", one.layer, one.type, one.change, one.retained,
                        one.noise, status_name(one.status()));
  }
  const std::vector<std::int64_t> lost = layers_with(report, RetentionStatus::kLost),
                                  weak = layers_with(report, RetentionStatus::kWeak);
  if (!lost.empty()) {
    text += fmt::format(
        "LOST in layers {}, stored as {}: retention is below its limit, or quantization noise above its own\n",
        fmt::join(lost, ", "), lost_types(lost_tensors(report)));
  }
  if (!weak.empty())
    text += fmt::format("weak in layers {}: noise above the change, or more than 10 % off\n", fmt::join(weak, ", "));
  if (!layers_with(report, RetentionStatus::kNotJudged).empty()) {
    text +=
        "NOT JUDGED: these figures are relative to the file's own weights and don't include their quantization noise; "
        "with --model-path they are measured from the base's weights\n";
  }
  return text;
}

// Why: llama.cpp chooses long or short factors by the context it allocates, not by the text.
std::string serving_lines(const ExportReport& report) {
  constexpr std::int64_t kKoboldReserve = 128, kKoboldStep = 256;
  const std::int64_t context = report.served_context;
  const std::string file = shell_quoted(report.output);
  std::string text = fmt::format("\nserve it (up to {0} tokens{2}):\n  llama-server -m {1} -c {0}\n", context, file,
                                 report.has_long_factors ? ", so that the short rope factors apply" : "");
  if (!report.modelfile.empty()) text += fmt::format("  ollama create NAME -f {}\n", shell_quoted(report.modelfile));
  if (context > 2 * kKoboldStep) {
    text += fmt::format("  koboldcpp --model {} --contextsize {}    (it adds up to {} of its own)\n", file,
                        context - kKoboldStep, kKoboldReserve);
  }
  return text;
}

}  // namespace

Json report_json(const ExportReport& report) {
  Json retention = Json::array();
  for (const TensorRetention& one : report.found.retention) retention.push_back(retention_json(one));
  return {{"nkat", kVersion},
          {"output", report.output},
          {"in_place", report.in_place},
          {"report", report.report_file},
          {"modelfile", report.modelfile.empty() ? Json(nullptr) : Json(report.modelfile)},
          {"format", report.format},
          {"quantization", report.quantization},
          {"bytes", report.bytes},
          {"files", report.files},
          {"context_length", report.context_length > 0 ? Json(report.context_length) : Json(nullptr)},
          {"served_context", report.served_context > 0 ? Json(report.served_context) : Json(nullptr)},
          {"tensors", report.tensors},
          {"fallbacks", report.fallbacks},
          {"importance", importance_json(report)},
          {"base_sha256", report.provenance.base_sha256},
          {"adapter", adapter_json(report.provenance)},
          {"self_test", report.self_test},
          {"logits", logits_json(report.found.logits)},
          {"ffn_down", retention},
          {"lost_layers", layers_with(report, RetentionStatus::kLost)},
          {"seconds", report.seconds}};
}

std::string report_text(const ExportReport& report) {
  std::string types;
  for (const auto& [type, count] : report.tensors)
    types += fmt::format("{}{} {}", types.empty() ? "" : ", ", count, type);
  std::string text =
      fmt::format("{}: {} of {}, {} tensors in {}\n", report.output, format_bytes(static_cast<double>(report.bytes)),
                  report.quantization, types, format_duration(report.seconds));
  if (!report.in_place) text = fmt::format("{}: NOT PUBLISHED, a check failed\n", report.output);
  if (!report.report_file.empty()) text += fmt::format("report: {}\n", report.report_file);
  if (!report.modelfile.empty()) text += fmt::format("for Ollama: {}\n", report.modelfile);
  for (const std::string& line : report.fallbacks) text += "fallback: " + line + "\n";
  if (!report.importance_files.empty())
    text += fmt::format("columns weighted by their second moments over {} tokens\n", report.importance_tokens);
  if (!report.found.retention.empty() && report.provenance.has_adapter()) text += retention_table(report);
  if (report.found.logits) text += logits_lines(*report.found.logits);
  if (report.format == "gguf" && report.in_place) text += serving_lines(report);
  return text;
}

void test_written(const ExportOptions& options, ExportReport& report, const std::function<SelfTest()>& test) {
  if (options.self_test == SelfTestScope::kOff) return;
  report.found = test();
  require_predictions(report.found, options.output);
}

void require_retention(const ExportReport& report) {
  const std::vector<TensorRetention> lost = lost_tensors(report);
  if (lost.empty()) return;
  throw CheckError(fmt::format(
      "{}: the adapter's change is lost in layers {}: stored as {} it is beyond the limits. The {} was published as "
      "asked, but holds the base and quantization noise there. Their gates are nearly shut, or the type is too coarse "
      "for them: take a finer one with {}, or accept it with {}",
      report.output, fmt::join(layers_with(report, RetentionStatus::kLost), ", "), lost_types(lost),
      report.format == "hf" ? "folder" : "file", report.format == "gguf-patch" ? "--patch-type" : "--quantization",
      accepting_options(lost)));
}

std::string json_text(const Json& json) { return dump_json(json, 2) + "\n"; }

std::optional<CheckError> failed_check(const std::function<void()>& work) {
  try {
    work();
    return std::nullopt;
  } catch (const CheckError& error) {
    return error;
  }
}

void keep_report(const std::string& path, const Json& report, const std::string& output) {
  try {
    write_file_atomically(path, json_text(report));
  } catch (const DeviceError& error) {
    throw DeviceError(fmt::format("{}; {} itself is published, its report is not", error.what(), output));
  }
}

}  // namespace nkat::exporting
