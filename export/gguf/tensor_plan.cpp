#include "export/gguf/tensor_plan.h"

#include <algorithm>
#include <limits>
#include <map>

#include <fmt/format.h>

#include "core/error.h"
#include "core/message.h"

namespace nkat::exporting {
namespace {

PlannedTensor rope_factors(const char* name, const std::vector<double>& factors) {
  PlannedTensor planned{.file = {name, {factors.size()}, gguf::GgmlType::kF32}};
  for (const double factor : factors) planned.values.push_back(static_cast<float>(factor));
  return planned;
}

}  // namespace

std::string kind_of(const PlannedTensor& planned) {
  const std::string& name = planned.file.name;
  const bool in_layer = planned.source && planned.source->layer >= 0;
  return in_layer ? name.substr(name.find('.', name.find('.') + 1) + 1) : name;
}

std::vector<PlannedTensor> plan_tensors(const models::ModelConfig& config, QuantizationRecipe recipe) {
  std::vector<PlannedTensor> plan;
  if (!config.long_factor.empty()) {
    plan.push_back(rope_factors(models::kGgufLongFactors, config.long_factor));
    plan.push_back(rope_factors(models::kGgufShortFactors, config.short_factor));
  }
  for (const models::TensorSpec& tensor : models::model_tensors(config)) {
    const std::vector<std::uint64_t> ne = tensor.gguf_sizes();
    const gguf::GgmlType requested = requested_type(recipe, tensor, config.num_layers);
    const gguf::GgmlType type = gguf::storable_type(requested, ne.front());
    plan.push_back({.file = {tensor.gguf_name, ne, type}, .requested = requested, .source = tensor});
  }
  return plan;
}

std::vector<std::string> fallbacks(const std::vector<PlannedTensor>& plan) {
  std::map<std::string, int> counts;
  for (const PlannedTensor& one : plan) {
    if (one.requested == one.file.type) continue;
    ++counts[fmt::format("{}: {} as {}, rows of {}", kind_of(one), gguf::traits(one.requested).name,
                         gguf::traits(one.file.type).name, one.file.ne.front())];
  }
  std::vector<std::string> lines;
  for (const auto& [line, count] : counts) lines.push_back(fmt::format("{} ({})", line, count));
  return lines;
}

std::vector<gguf::GgufTensorPlan> file_plan(const std::vector<PlannedTensor>& plan) {
  std::vector<gguf::GgufTensorPlan> tensors;
  for (const PlannedTensor& one : plan) tensors.push_back(one.file);
  return tensors;
}

bool is_planned(const gguf::GgufTensor& found, const PlannedTensor& planned) {
  std::vector<std::uint64_t> ne = planned.file.ne;
  ne.resize(gguf::kMostDimensions, 1);
  return found.name == planned.file.name && found.type == planned.file.type && std::ranges::equal(found.ne, ne);
}

void require_expressible(const models::ModelConfig& config, const std::string& where) {
  const auto require = [&](bool condition, const std::string& wanted, const std::string& found) {
    if (condition) return;
    throw FormatError(
        fmt::format("{}: a phi3 GGUF file: {}", where,
                    expected(wanted, found, "llama.cpp can't run this model, `--format hf` can still write it")));
  };
  require(config.num_heads * config.head_dim == config.hidden_size, "num_attention_heads * head_dim = hidden_size",
          fmt::format("{} * {} and {}", config.num_heads, config.head_dim, config.hidden_size));
  for (const auto& [name, list] :
       {std::pair{"long_factor", config.long_factor.size()}, std::pair{"short_factor", config.short_factor.size()}}) {
    require(list == 0 || list == static_cast<std::size_t>(config.rotary_dim / 2),
            fmt::format("{} numbers in {}", config.rotary_dim / 2, name), fmt::format("{}", list));
  }
  require(config.sliding_window.value_or(0) <= std::numeric_limits<std::uint32_t>::max(), "a sliding_window below 2^32",
          fmt::format("{}", config.sliding_window.value_or(0)));
}

}  // namespace nkat::exporting
