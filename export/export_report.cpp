#include "export/export_report.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "core/cli/progress.h"
#include "core/error.h"
#include "core/json.h"
#include "core/shell_quote.h"
#include "core/version.h"

namespace nkat::exporting {
namespace {

using Json = nlohmann::ordered_json;

std::vector<std::int64_t> layers_of(const ExportReport& report, RetentionStatus fate) {
  std::vector<std::int64_t> layers;
  for (const TensorRetention& one : report.found.survival) {
    if (one.fate() == fate) layers.push_back(one.layer);
  }
  return layers;
}

Json survival_json(const TensorRetention& one) {
  return {{"layer", one.layer},
          {"type", one.type},
          {"change", one.change},
          {"survived", one.survived},
          {"noise", one.noise},
          {"error", one.error},
          {"minimum_survived", one.limit.minimum_survived},
          {"maximum_noise", one.limit.maximum_noise},
          {"fate", fate_name(one.fate())}};
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
      "\nlogits on {} tokens of {} prompts, KL from backbone + adapter in nats a token\n  {:<22} {:.2e}, at most "
      "{:.2e}; the same most likely token in {:.1f} %\n",
      check.tokens, check.prompts, "the file", check.mean_kl, check.largest_kl, 100 * check.top1_agreement);
  if (!check.base_mean_kl) return text;
  text += fmt::format("  {:<22} {:.2e}\n", "base without adapter", *check.base_mean_kl);
  if (check.mean_kl >= *check.base_mean_kl)
    text += "  NO NEARER to the adapted model than its base is: the stored type adds more than the adapter changed\n";
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
  std::ranges::copy_if(report.found.survival, std::back_inserter(lost),
                       [](const TensorRetention& one) { return one.fate() == RetentionStatus::kLost; });
  return lost;
}

std::string survival_table(const ExportReport& report) {
  std::string text = "\nwhat survived of the adapter's change to ffn_down (1: all; noise in units of the change)\n";
  text += fmt::format("{:>5}  {:<5} {:>9} {:>9} {:>9}  {}\n", "layer", "type", "change", "survived", "noise", "");
  for (const TensorRetention& one : report.found.survival) {
    if (one.fate() == RetentionStatus::kUnchanged) continue;
    text += fmt::format("{:>5}  {:<5} {:>9.2e} {:>9.4f} {:>9.3g}  {}\n", one.layer, one.type, one.change, one.survived,
                        one.noise, fate_name(one.fate()));
  }
  const std::vector<std::int64_t> lost = layers_of(report, RetentionStatus::kLost),
                                  weak = layers_of(report, RetentionStatus::kWeak);
  if (!lost.empty()) {
    text += fmt::format(
        "LOST in layers {}, stored as {}: less than the least share is left, or the rounding noise is above the "
        "limit\n",
        fmt::join(lost, ", "), lost_types(lost_tensors(report)));
  }
  if (!weak.empty())
    text += fmt::format("weak in layers {}: noise above the change, or a tenth off\n", fmt::join(weak, ", "));
  if (!layers_of(report, RetentionStatus::kNotJudged).empty()) {
    text +=
        "NOT JUDGED: these figures are relative to the file's own weights, whose rounding is not in them; with "
        "--model-path they are measured from the base's weights\n";
  }
  return text;
}

// Why: llama.cpp chooses long or short factors by the context it allocates, not by the text.
std::string serving_lines(const ExportReport& report) {
  constexpr std::int64_t kKoboldReserve = 128, kKoboldStep = 256;
  const std::int64_t context = report.served_context;
  const std::string file = shell_quoted(report.output);
  std::string text = fmt::format(
      "\nserve it (up to {0} tokens, so that the short rope factors apply):\n  llama-server -m {1} -c {0}\n"
      "  ollama create NAME -f {2}\n",
      context, file, shell_quoted(report.modelfile));
  if (context > 2 * kKoboldStep) {
    text += fmt::format("  koboldcpp --model {} --contextsize {}    (it adds up to {} of its own)\n", file,
                        context - kKoboldStep, kKoboldReserve);
  }
  return text;
}

}  // namespace

Json report_json(const ExportReport& report) {
  Json survival = Json::array();
  for (const TensorRetention& one : report.found.survival) survival.push_back(survival_json(one));
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
          {"ffn_down", survival},
          {"lost_layers", layers_of(report, RetentionStatus::kLost)},
          {"seconds", report.seconds}};
}

std::string report_text(const ExportReport& report) {
  std::string types;
  for (const auto& [type, count] : report.tensors)
    types += fmt::format("{}{} {}", types.empty() ? "" : ", ", count, type);
  std::string text =
      fmt::format("{}: {} of {}, {} tensors in {}\n", report.output, format_bytes(static_cast<double>(report.bytes)),
                  report.quantization, types, format_duration(report.seconds));
  if (!report.in_place) text = fmt::format("{}: NOT PUT IN PLACE, a check failed\n", report.output);
  if (!report.report_file.empty()) text += fmt::format("report: {}\n", report.report_file);
  if (!report.modelfile.empty()) text += fmt::format("for Ollama: {}\n", report.modelfile);
  for (const std::string& line : report.fallbacks) text += "falls back: " + line + "\n";
  if (!report.importance_files.empty())
    text += fmt::format("columns weighed by their second moments over {} tokens\n", report.importance_tokens);
  if (!report.found.survival.empty() && report.provenance.has_adapter()) text += survival_table(report);
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
      "{}: the adapter's change is lost in layers {}: stored as {} it is beyond the limits; the {} was written as "
      "asked and is in "
      "place, but what is left there is the base and rounding noise. Their gates are nearly shut, or the type is too "
      "coarse for them: take a finer one with {}, or accept it with {}",
      report.output, fmt::join(layers_of(report, RetentionStatus::kLost), ", "), lost_types(lost),
      report.format == "hf" ? "folder" : "file", report.format == "gguf-patch" ? "--patch-type" : "--quantization",
      accepting_options(lost)));
}

std::string json_text(const Json& json) { return dump_json(json, 2) + "\n"; }

}  // namespace nkat::exporting
