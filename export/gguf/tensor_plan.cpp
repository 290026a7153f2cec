#include "export/gguf/tensor_plan.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numbers>

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

// What llama.cpp divides the frequencies by, in float32 as its converter computes it.
std::vector<double> llama3_factors(const models::ModelConfig& config) {
  const layers::RopeScaling& scaling = config.rope_scaling;
  const auto length = static_cast<float>(scaling.original_length);
  const auto low = static_cast<float>(scaling.low_frequency), high = static_cast<float>(scaling.high_frequency);
  std::vector<double> factors;
  for (std::int64_t i = 0; i < config.rotary_dim; i += 2) {
    const float exponent = static_cast<float>(i) / static_cast<float>(config.rotary_dim);
    const float frequency = 1 / std::pow(static_cast<float>(config.rope_theta), exponent);
    const float wavelength = static_cast<float>(2 * std::numbers::pi) / frequency;
    if (wavelength < length / high) {
      factors.push_back(1);
    } else if (wavelength > length / low) {
      factors.push_back(scaling.factor);
    } else {
      const float smooth = (length / wavelength - low) / (high - low);
      factors.push_back(1 / ((1 - smooth) / static_cast<float>(scaling.factor) + smooth));
    }
  }
  return factors;
}

// A layer's tensor without the layer: "ffn_down.weight".
std::string kind_of(const PlannedTensor& planned) {
  const std::string& name = planned.file.name;
  const bool in_layer = planned.source && planned.source->layer >= 0;
  return in_layer ? name.substr(name.find('.', name.find('.') + 1) + 1) : name;
}

}  // namespace

std::vector<PlannedTensor> plan_tensors(const models::ModelConfig& config, QuantizationRecipe recipe,
                                        TiedHead tied_head) {
  std::vector<PlannedTensor> plan;
  if (!config.long_factor.empty()) {
    plan.push_back(rope_factors(models::kGgufLongFactors, config.long_factor));
    plan.push_back(rope_factors(models::kGgufShortFactors, config.short_factor));
  } else if (!config.short_factor.empty()) {
    plan.push_back(rope_factors(models::kGgufRopeFactors, config.short_factor));
  } else if (config.rope_scaling.kind == layers::RopeScaling::Kind::kLlama3) {
    plan.push_back(rope_factors(models::kGgufRopeFactors, llama3_factors(config)));
  }
  const bool leaves_head_out = config.tie_word_embeddings && tied_head == TiedHead::kLeftOut;
  for (const models::TensorSpec& tensor : models::model_tensors(config)) {
    if (tensor.is_tied && leaves_head_out) continue;
    const bool is_head = leaves_head_out && tensor.role == models::TensorRole::kEmbedding;
    const models::TensorSpec decides = is_head ? models::model_tensor(config, models::TensorRole::kHead) : tensor;
    const std::vector<std::uint64_t> ne = tensor.gguf_sizes();
    const gguf::GgmlType requested = requested_type(recipe, decides, config.num_layers);
    const gguf::GgmlType type = gguf::storable_type(requested, ne.front());
    plan.push_back({.file = {tensor.gguf_name, ne, type}, .requested = requested, .source = tensor});
    if (is_head) plan.back().source->kind = models::TensorKind::kMatrix;  // an importance weighs it as the head
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
  const std::string architecture = models::traits_of(config.family).gguf_architecture;
  const auto require = [&](bool condition, const std::string& wanted, const std::string& found) {
    if (condition) return;
    throw FormatError(
        fmt::format("{}: a {} GGUF file: {}", where, architecture,
                    expected(wanted, found, "llama.cpp can't run this model, `--format hf` can still write it")));
  };
  const bool has_head_size = architecture == "llama" || architecture == "qwen3";
  require(has_head_size || config.num_heads * config.head_dim == config.hidden_size,
          "num_attention_heads * head_dim = hidden_size",
          fmt::format("{} * {} and {}", config.num_heads, config.head_dim, config.hidden_size));
  for (const auto& [name, list] :
       {std::pair{"long_factor", config.long_factor.size()}, std::pair{"short_factor", config.short_factor.size()}}) {
    require(list == 0 || list == static_cast<std::size_t>(config.rotary_dim / 2),
            fmt::format("{} numbers in {}", config.rotary_dim / 2, name), fmt::format("{}", list));
  }
  require(config.sliding_window.value_or(0) <= std::numeric_limits<std::uint32_t>::max(), "a sliding_window below 2^32",
          fmt::format("{}", config.sliding_window.value_or(0)));
  const bool is_llama3 = config.rope_scaling.kind == layers::RopeScaling::Kind::kLlama3;
  require(architecture == "llama" || !is_llama3, "no rope scaling, or linear", "llama3");
  require(architecture == "llama" || !config.output_bias, "no bias of o_proj", "attention_bias true");
}

std::string window_warning(const models::ModelConfig& config) {
  if (config.family == models::Family::kPhi3 || !config.sliding_window ||
      *config.sliding_window >= config.max_position_embeddings)
    return "";
  return fmt::format(
      "llama.cpp's architecture {} has no sliding window: texts of more than {} tokens get other logits there than in "
      "transformers; --context-length {} keeps the file below it",
      models::traits_of(config.family).gguf_architecture, *config.sliding_window, *config.sliding_window);
}

}  // namespace nkat::exporting
