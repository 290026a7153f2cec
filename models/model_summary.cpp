#include "models/model_summary.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "models/planning/memory_plan.h"
#include "models/tensor_table.h"

namespace nkat::models {
namespace {

constexpr std::int64_t kBlock = 8;
constexpr std::int64_t kSkewNumbers = kBlock * (kBlock - 1) / 2;  // of W only the skew part acts

std::int64_t blocks(const ModelConfig& config) { return config.hidden_size / kBlock; }

std::int64_t adapter_layers(const ModelConfig& config, std::int64_t first) { return config.num_layers - first; }

// W and alpha.
std::int64_t adapter_parameters(const ModelConfig& config, std::int64_t first) {
  return adapter_layers(config, first) * (blocks(config) * kBlock * kBlock + 1);
}

// "model.layers.0.mlp.down_proj.weight" -> "down_proj"; of a stacked tensor "gate_proj + up_proj".
std::string module_name(const TensorSpec& spec) {
  std::string name;
  for (const TensorSpec& part : spec.stored()) {
    const std::string path = part.name.substr(0, part.name.rfind('.'));
    name += (name.empty() ? "" : " + ") + path.substr(path.rfind('.') + 1);
  }
  return name;
}

const char* module_kind(TensorKind kind) {
  switch (kind) {
    case TensorKind::kEmbedding: return "Embedding";
    case TensorKind::kNorm: return "RMSNorm";
    case TensorKind::kBias: return "bias";
    default: return "Linear";
  }
}

WeightFormat format_of(const TensorSpec& spec, const SummaryRequest& request) {
  return spec.is_layer_matrix() ? formats_of(request.base).of(spec.role) : WeightFormat{};
}

const char* format_name(const WeightFormat& format, std::int64_t element_bytes) {
  switch (format.storage) {
    case WeightFormat::Storage::kInt8: return "int8";
    case WeightFormat::Storage::kNf4: return "nf4";
    default: return element_bytes == 2 ? "bf16" : "fp32";
  }
}

std::int64_t held_bytes(const TensorSpec& spec, const SummaryRequest& request) {
  if (spec.is_tied) return 0;
  if (spec.is_layer_matrix())
    return static_cast<std::int64_t>(matrix_bytes(spec, format_of(spec, request), request.element_bytes));
  return static_cast<std::int64_t>(spec.matrix().elements()) * request.element_bytes;
}

std::string module_line(const TensorSpec& spec, const SummaryRequest& request) {
  const std::string module = fmt::format("{}({}): {} ({})", spec.layer < 0 ? "  " : "    ", module_name(spec),
                                         module_kind(spec.kind), fmt::join(spec.shape, ", "));
  if (spec.is_tied) return fmt::format("{:<52} the embedding\n", module);
  return fmt::format("{:<52} {:<4} {:>12} bytes\n", module,
                     format_name(format_of(spec, request), request.element_bytes), held_bytes(spec, request));
}

std::string adapter_place(const ModelConfig& config, std::int64_t first) {
  const std::int64_t last = config.num_layers - 1;
  return first == last ? fmt::format("layer {}", last) : fmt::format("layers {} to {}", first, last);
}

// What acts on the product before a matrix's, and has no tensor of the base.
std::string before(const TensorSpec& spec, const ModelConfig& c) {
  if (spec.kind != TensorKind::kMatrix) return {};
  if (spec.role == TensorRole::kAttentionOutput) {
    return fmt::format("      attention: {} heads x {}, {} kv heads\n", c.num_heads, c.head_dim, c.num_key_value_heads);
  }
  if (spec.role == TensorRole::kDown) {
    return fmt::format("      SwiGLU: {} -> {}\n", 2 * c.intermediate_size, c.intermediate_size);
  }
  return {};
}

std::string after(const TensorSpec& spec, const ModelConfig& c, const SummaryRequest& request) {
  const bool is_last = spec.role == TensorRole::kDown && (spec.kind == TensorKind::kBias) == c.mlp_bias;
  if (!is_last) return {};
  return fmt::format("      + sigma(alpha) R: {} blocks of {}, {}\n", blocks(c), kBlock,
                     adapter_place(c, request.first_adapter_layer));
}

// "Phi3" of "Phi3ForCausalLM"
std::string class_name(const ModelConfig& config) {
  const std::string architecture = traits_of(config.family).architecture;
  return architecture.substr(0, architecture.find("ForCausalLM"));
}

}  // namespace

std::string describe(const ModelConfig& config, const SummaryRequest& request) {
  std::int64_t layer_bytes = 0, all_bytes = 0;
  const std::vector<TensorSpec> tensors = decoder_tensors(config);
  for (const TensorSpec& spec : tensors) {
    all_bytes += held_bytes(spec, request);
    if (spec.layer == 0) layer_bytes += held_bytes(spec, request);
  }
  std::string text = fmt::format("{} (base {})\n", class_name(config), name_of(request.base, kBaseFormatNames));
  for (const TensorSpec& spec : tensors) {
    if (spec.layer > 0) continue;
    if (spec.role == TensorRole::kInputNorm)
      text +=
          fmt::format("{:<57} {:>12} bytes each\n", fmt::format("  (layers): {} x", config.num_layers), layer_bytes);
    text += before(spec, config) + module_line(spec, request) + after(spec, config, request);
  }
  text += fmt::format("frozen: {} parameters, {} bytes\n", parameter_count(config), all_bytes);
  return text +
         fmt::format("trained: {} parameters; each adapter layer has {} x {} of W, of which {} x {} act, and alpha\n",
                     adapter_parameters(config, request.first_adapter_layer), blocks(config), kBlock * kBlock,
                     blocks(config), kSkewNumbers);
}

std::string adapter_line(const ModelConfig& config, std::int64_t first_adapter_layer) {
  return fmt::format("adapter: {} of {} layers, {} parameters; base: {} parameters frozen",
                     adapter_layers(config, first_adapter_layer), config.num_layers,
                     adapter_parameters(config, first_adapter_layer), parameter_count(config));
}

}  // namespace nkat::models
