#include "models/planning/memory_plan.h"

#include <algorithm>

#include "layers/cpu/gemm_tiles.h"
#include "models/planning/gemm_workspace.h"

namespace nkat::models {
namespace {

constexpr double kMiB = 1024.0 * 1024.0;
constexpr double kContextAllowance = 450.0 * kMiB;
constexpr std::int64_t kSequenceGrain = 64;

struct Sizes {
  double hidden, intermediate, qkv, attended, vocabulary, heads;
};

Sizes sizes_of(const Phi3Config& c) {
  return {static_cast<double>(c.hidden_size), static_cast<double>(c.intermediate_size),
          static_cast<double>(c.qkv_rows()),  static_cast<double>(c.num_heads * c.head_dim),
          static_cast<double>(c.vocab_size),  static_cast<double>(c.num_heads)};
}

double layer_parameters(const Sizes& s) {
  return s.hidden * s.qkv + s.attended * s.hidden + 2 * s.intermediate * s.hidden + s.intermediate * s.hidden +
         2 * s.hidden;
}

// Bytes that live at once inside one layer, beyond what is kept: two times the rows, and the most of what the products
// of the MLP, SwiGLU's way back and attention's hold. On gate_up's way back its gradient has taken the place of what
// was kept; on attention's, gate_up is free.
double layer_workspace(const Phi3Config& config, const PlanRequest& request) {
  const auto product = [&](MatrixRole role, ProductDirection direction) {
    return product_workspace(config, request, role, direction);
  };
  const Sizes s = sizes_of(config);
  const double row = static_cast<double>(request.micro_batch_rows() * request.element_bytes);
  const double gate_up = std::max(product(MatrixRole::kGateUp, ProductDirection::kForward),
                                  product(MatrixRole::kGateUp, ProductDirection::kBack));
  const double down = std::max(product(MatrixRole::kDown, ProductDirection::kForward),
                               product(MatrixRole::kDown, ProductDirection::kBack));
  const double attention = row * (s.attended + s.qkv - 2 * s.intermediate) + attention_workspace(config, request);
  return row * 2 * s.hidden + std::max({gate_up, row * s.intermediate + down, row * 3 * s.intermediate, attention});
}

// Logits are overwritten by their gradient; where BF16 is widened for products they stay in float32.
double bytes_per_logit(const PlanRequest& request) {
  return request.widened ? 4 : static_cast<double>(request.element_bytes);
}

// Of the adapter's size, in float32: M, its gradient and the window's sum on the device; where that is the host, R, W
// and Adam's two moments as well.
double adapter_copies(const PlanRequest& request) { return request.on_gpu ? 3 : 7; }

double weight_bytes(const Phi3Config& config, const PlanRequest& request) {
  const auto element = static_cast<double>(request.element_bytes);
  double bytes = element * static_cast<double>(parameter_count(config));
  for (const MatrixShape& matrix : layer_matrices(config)) {
    const double saved = matrix_bytes(matrix, {}, request.element_bytes) -
                         matrix_bytes(matrix, request.forms.of(matrix.role), request.element_bytes);
    bytes -= saved * static_cast<double>(config.num_layers);
  }
  return bytes;
}

}  // namespace

std::int64_t PlanRequest::micro_batch_rows() const {
  const std::int64_t tokens = micro_batch_tokens(), tile = on_gpu ? layers::kRowsOfAGpuTile : 1;
  return (tokens + tile - 1) / tile * tile;
}

std::int64_t parameter_count(const Phi3Config& config) {
  const Sizes s = sizes_of(config);
  const double tables = s.vocabulary * s.hidden * (config.tie_word_embeddings ? 1 : 2);
  return static_cast<std::int64_t>(tables + layer_parameters(s) * static_cast<double>(config.num_layers) + s.hidden);
}

double kept_bytes_per_token(const Phi3Config& config, std::int64_t element_bytes) {
  const Sizes s = sizes_of(config);
  const auto element = static_cast<double>(element_bytes);
  // Inputs of both norms, h, rotated q k v, attention's output and log-sum-exp, gate_up, the norms' scales.
  return element * (3 * s.hidden + s.qkv + s.attended + 2 * s.intermediate) + 4 * s.heads + 2 * 4;
}

MemoryPlan plan_memory(const Phi3Config& config, const PlanRequest& request, std::int64_t recomputed_layers) {
  const Sizes s = sizes_of(config);
  const auto element = static_cast<double>(request.element_bytes);
  const auto rows = static_cast<double>(request.micro_batch_rows());
  const auto trained = static_cast<double>(config.num_layers - request.first_adapter_layer);
  const auto recomputed = static_cast<double>(recomputed_layers);
  MemoryPlan plan;
  plan.recomputed_layers = recomputed_layers;
  plan.weights = weight_bytes(config, request);
  // Above the lowest trained layer, which keeps its input and h; and the last layer's output.
  const double again = std::min(recomputed, trained - 1);
  const double input = element * s.hidden;
  plan.activations = rows * ((trained - 1 - again) * kept_bytes_per_token(config, request.element_bytes) +
                             (again + 2) * input + (recomputed < trained ? input : 0));
  const std::int64_t head_rows = std::min(request.head_rows, request.micro_batch_tokens());
  plan.head = static_cast<double>(head_rows) * s.vocabulary * bytes_per_logit(request) + rows * s.hidden * 3 * element +
              head_product_workspace(config, request, head_rows);
  plan.adapter = trained * s.hidden * 8 * 4 * adapter_copies(request);
  // A layer that recomputes holds its activations again; where layers above kept theirs, those are free by then.
  const bool recomputes_first = again >= trained - 1 && recomputed > 0;
  plan.workspace = layer_workspace(config, request) +
                   (recomputes_first ? rows * kept_bytes_per_token(config, request.element_bytes) : 0);
  plan.context = request.on_gpu ? kContextAllowance : 0;
  return plan;
}

std::optional<std::int64_t> fewest_recomputed_layers(const Phi3Config& config, const PlanRequest& request) {
  for (std::int64_t recomputed = 0; recomputed <= config.num_layers - request.first_adapter_layer; ++recomputed) {
    if (plan_memory(config, request, recomputed).total() <= request.budget_bytes) return recomputed;
  }
  return std::nullopt;
}

std::int64_t longest_sequence(const Phi3Config& config, const PlanRequest& request) {
  PlanRequest longer = request;
  longer.packed_tokens = 0;
  std::int64_t fits = 0;
  for (longer.sequence_length = kSequenceGrain; longer.sequence_length <= config.max_position_embeddings;
       longer.sequence_length += kSequenceGrain) {
    if (plan_memory(config, longer, config.num_layers - request.first_adapter_layer).total() > request.budget_bytes)
      break;
    fits = longer.sequence_length;
  }
  return fits;
}

std::int64_t packable_tokens(const Phi3Config& config, const PlanRequest& request, std::int64_t recomputed_layers,
                             std::int64_t most) {
  PlanRequest packed = request;
  std::int64_t fits = 0;
  for (packed.packed_tokens = kSequenceGrain; packed.packed_tokens <= most; packed.packed_tokens += kSequenceGrain) {
    if (packed.packed_tokens <= request.samples * request.sequence_length) continue;
    if (plan_memory(config, packed, recomputed_layers).total() > request.budget_bytes) break;
    fits = packed.packed_tokens;
  }
  return fits;
}

}  // namespace nkat::models
