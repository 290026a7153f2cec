#include "export/patch/patch_report.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/message.h"
#include "export/gguf/modelfile.h"
#include "export/merge/export_source.h"

namespace nkat::exporting {
namespace {

// By the file's general.file_type.
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
    ++counts[fmt::format("{}: {}{}", kind_of(one), before, before == after ? "" : fmt::format(" to {}", after))];
  }
  std::vector<std::string> lines;
  for (const auto& [types, count] : counts) lines.push_back(fmt::format("{} ({})", types, count));
  return lines;
}

std::string origin_text(const PatchReport& report) {
  if (report.rounded_twice) {
    return "every weight was rounded twice: the file's own are on the grid of their types, and all were encoded anew. "
           "--quantization auto leaves what the adapter doesn't change bit for bit\n";
  }
  if (report.is_export) return "";
  if (report.merged_from == kMergedFromCheckpoint) return "merged from the checkpoint's weights\n";
  return "merged from the file's own weights: their quantization noise stays, and in the same type changes under half "
         "a "
         "step are rounded back; --model-path merges from the base's weights, a finer --patch-type keeps more\n";
}

}  // namespace

bool is_quantized(const gguf::GgufFile& file) {
  return std::ranges::any_of(
      file.tensors(), [](const gguf::GgufTensor& tensor) { return gguf::traits(tensor.type).block_elements > 1; });
}

PatchReport report_of(const Patch& patch) {
  const gguf::GgufMetadata& metadata = patch.base.metadata();
  PatchReport all{.base = patch.base.path().string(),
                  .merged_from = patch.source.merged_from,
                  .paired_by = patch.source.paired_by,
                  .replaced = replacements(patch),
                  .importance = metadata.find("quantize.imatrix.file") != nullptr,
                  .encoded_anew = patch.encodes_anew,
                  .rounded_twice = patch.encodes_anew && is_quantized(patch.base)};
  all.report.quantization = quantization_of(patch.metadata);
  all.report.context_length =
      metadata.number<std::uint32_t>(metadata.string("general.architecture") + ".context_length");
  all.report.served_context = served_context(patch.source.config);
  all.report.has_long_factors = !patch.source.config.long_factor.empty();
  for (const PlannedTensor& one : patch.plan) ++all.report.tensors[gguf::traits(one.file.type).name];
  all.report.fallbacks = fallbacks(patch.plan);
  all.report.provenance = patch.source.provenance;
  return all;
}

nlohmann::ordered_json report_json(const PatchReport& report) {
  nlohmann::ordered_json json = report_json(report.report);
  if (report.report.provenance.base_sha256.empty()) json["base_sha256"] = nullptr;
  json["patched"] = report.base;
  json["merged_from"] = report.merged_from;
  json["paired_by"] = report.paired_by;
  json["replaced"] = report.replaced;
  json["importance_matrix"] = report.importance;
  if (report.is_export) json["rounded_twice"] = report.rounded_twice;
  return json;
}

std::string report_text(const PatchReport& report) {
  std::string text = report_text(report.report);
  text += fmt::format("\n{} with the adapter merged into these tensors, all others {}:\n", report.base,
                      report.encoded_anew ? "unchanged, but encoded anew" : "bit for bit");
  for (const std::string& line : report.replaced) text += fmt::format("  {}\n", line);
  text += origin_text(report);
  if (report.paired_by == kPairedByNothing && report.report.provenance.has_adapter())
    text += "nothing proves that the adapter belongs to this file\n";
  if (report.importance)
    text += "the file was made with an importance matrix; it applies to the copied tensors, not to the replaced ones\n";
  const std::string limit =
      report.report.has_long_factors
          ? fmt::format(" (-c {} keeps llama.cpp at the short rope factors)", report.report.served_context)
          : "";
  return text + fmt::format("\nserve it as you served {}{}\n", shell_quoted(report.base), limit);
}

}  // namespace nkat::exporting
