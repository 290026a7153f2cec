#include "models/planning/memory_plan.h"

#include <algorithm>
#include <cmath>

#include "core/cli/progress.h"
#include "layers/cpu/gemm_tiles.h"

namespace nkat::models {
namespace {

using namespace layers;

constexpr double kContextAllowance = 450.0 * kMiB;
constexpr std::int64_t kSequenceGrain = 64;

constexpr double kInt8StepBytes = 24;                      // of each entry that ATen's float32 steps hold
constexpr double kNf4LookUpBytes = 1 + 1 + 2 + 4 + 4 + 4;  // index, level and product of an entry

// Temporary memory of products beside input and result, as layers/cpu/bf16_gemm.cpp, layers/quantized/int8.cpp,
// layers/quantized/int8_gemm.cpp, layers/quantized/nf4.cpp and layers/cpu/attention.cpp allocate it.
enum class ProductDirection {
  kForward,   // the layer's input in, its output out
  kBackward,  // the output's gradient in, the input's gradient out
};

struct Sides {
  double inputs, outputs;  // channels of a row
};

double panel_width(double columns) {
  return static_cast<double>(widened_panel_width(static_cast<std::int64_t>(columns)));
}

// A panel belongs to one thread, so at most as many threads as panels hold memory.
double busy_threads(double columns, const PlanRequest& request) {
  return std::min(static_cast<double>(request.threads), std::ceil(columns / panel_width(columns)));
}

// A thread's panel of the matrix.
double panel_bytes(const Sides& sides) {
  return 4 * panel_width(sides.outputs) * std::min(sides.inputs, static_cast<double>(kWidenedDepth));
}

// Rows in float32, and each thread's panel of the matrix and tile of the result.
double widened_workspace(const Sides& sides, const PlanRequest& request) {
  const auto tokens = static_cast<double>(request.micro_batch_rows());
  const double tile = 4 * tokens * panel_width(sides.outputs);
  return 4 * tokens * sides.inputs + busy_threads(sides.outputs, request) * (panel_bytes(sides) + tile);
}

// Depths of rows and tile in float32, their product, and it again as integers.
double float_sums_bytes(const Sides& sides, double rows, double columns) {
  const double depth = std::min(sides.inputs, static_cast<double>(kInt8FloatDepth));
  return 4 * std::max(depth * (rows + columns) + rows * columns, 2 * rows * columns);
}

// Rows in 8-bit passes, the int32 sums of a tile, and in backward the tile's transposed copy.
double int8_workspace(std::int64_t input_passes, const Sides& sides, ProductDirection direction,
                      const PlanRequest& request) {
  const auto tokens = static_cast<double>(request.micro_batch_rows());
  const double columns = std::min(sides.outputs, static_cast<double>(request.on_gpu ? kInt8TileOnGpu : kInt8TileOnCpu));
  const double steps =
      request.on_gpu ? kInt8StepBytes * std::min(tokens * sides.inputs, static_cast<double>(kInt8EntriesAtOnce)) : 0;
  const auto terms = static_cast<double>(input_passes);
  const double in_float = request.int8_in_float ? float_sums_bytes(sides, terms * tokens, columns) : 0;
  const double transposed = direction == ProductDirection::kForward ? 0 : sides.inputs * columns;
  return terms * tokens * sides.inputs +
         std::max(steps, transposed + tokens * columns * (terms * 4 + (request.on_gpu ? 4 : 0)) + in_float);
}

// A tile of numbers, on a CPU with input and result of the tile in float32.
double nf4_workspace(const Sides& sides, const PlanRequest& request) {
  const auto [inputs, outputs] = sides;
  if (request.on_gpu) return 2 * inputs * outputs + kNf4LookUpBytes * static_cast<double>(kNf4LookUpsAtOnce);
  const double entries = std::min(static_cast<double>(kNf4TileOnCpu), inputs * outputs),
               wide = request.element_bytes < 4 ? inputs : 0;
  return 4 * (entries + static_cast<double>(request.micro_batch_rows()) * (wide + entries / inputs));
}

double form_workspace(const WeightFormat& form, ProductDirection direction, const Sides& sides,
                      const PlanRequest& request) {
  const bool forward = direction == ProductDirection::kForward;
  switch (form.storage) {
    case WeightFormat::Storage::kInt8:
      return int8_workspace(forward ? form.input_passes : form.gradient_passes, sides, direction, request);
    case WeightFormat::Storage::kNf4: return nf4_workspace(sides, request);
    default: return request.widened ? widened_workspace(sides, request) : 0;
  }
}

// Of a product with a layer's matrix.
double product_workspace(const ModelConfig& config, const PlanRequest& request, TensorRole role,
                         ProductDirection direction) {
  const MatrixShape matrix = model_tensor(config, role, 0).matrix();
  const auto rows = static_cast<double>(matrix.rows), columns = static_cast<double>(matrix.columns);
  const Sides sides = direction == ProductDirection::kForward ? Sides{columns, rows} : Sides{rows, columns};
  return form_workspace(request.forms.of(role), direction, sides, request);
}

// Of the head's product for `rows` rows at once, whose result is not rounded.
double head_product_workspace(const ModelConfig& config, const PlanRequest& request, std::int64_t rows) {
  if (!request.widened) return 0;
  const Sides sides{static_cast<double>(config.hidden_size), static_cast<double>(config.vocab_size)};
  return 4 * static_cast<double>(rows) * sides.inputs + busy_threads(sides.outputs, request) * panel_bytes(sides);
}

struct Sizes {
  double hidden, intermediate, qkv, attended, vocabulary, heads;
};

Sizes sizes_of(const ModelConfig& c) {
  return {static_cast<double>(c.hidden_size), static_cast<double>(c.intermediate_size),
          static_cast<double>(c.qkv_rows()),  static_cast<double>(c.num_heads * c.head_dim),
          static_cast<double>(c.vocab_size),  static_cast<double>(c.num_heads)};
}

// Of a layer's matrices, norms and biases.
double layer_parameters(const ModelConfig& config) {
  double elements = 0;
  for (const TensorSpec& tensor : layer_tensors(config, 0)) elements += static_cast<double>(tensor.matrix().elements());
  return elements;
}

// Query and key channels of a token that pass through norms of their own.
double normed_channels(const ModelConfig& c) {
  return c.head_norms ? static_cast<double>((c.num_heads + c.num_key_value_heads) * c.head_dim) : 0;
}

// Scores of a sample are masked where it is longer than the window and no flash attention computes it: one mask a sample
// of the micro-batch, for all layers.
double mask_bytes(const ModelConfig& config, const PlanRequest& request) {
  const bool flash = request.on_gpu && request.element_bytes == 2;
  if (flash || !config.sliding_window || *config.sliding_window >= request.sequence_length) return 0;
  return static_cast<double>(request.element_bytes * request.sequence_length * request.micro_batch_tokens());
}

// Peak temporary memory of one layer: two copies of its rows, and the largest of the MLP's products, SwiGLU's backward
// and attention's backward. In gate_up's backward its gradient has replaced what was kept; in attention's, gate_up is
// free.
double layer_workspace(const ModelConfig& config, const PlanRequest& request) {
  const auto product = [&](TensorRole role, ProductDirection direction) {
    return product_workspace(config, request, role, direction);
  };
  const Sizes s = sizes_of(config);
  const double row = static_cast<double>(request.micro_batch_rows() * request.element_bytes);
  const double gate_up = std::max(product(TensorRole::kGateUp, ProductDirection::kForward),
                                  product(TensorRole::kGateUp, ProductDirection::kBackward));
  const double down = std::max(product(TensorRole::kDown, ProductDirection::kForward),
                               product(TensorRole::kDown, ProductDirection::kBackward));
  const double attention =
      row * (s.attended + s.qkv + normed_channels(config) - 2 * s.intermediate) + attention_workspace(config, request);
  return row * 2 * s.hidden + std::max({gate_up, row * s.intermediate + down, row * 3 * s.intermediate, attention});
}

// Logits are overwritten by their gradient; where BF16 is widened for products they stay in float32.
double bytes_per_logit(const PlanRequest& request) {
  return request.widened ? 4 : static_cast<double>(request.element_bytes);
}

// Float32 copies of the adapter's size: M, its gradient and the accumulated gradient on the device; on a CPU also R, W
// and Adam's two moments.
double adapter_copies(const PlanRequest& request) { return request.on_gpu ? 3 : 7; }

double weight_bytes(const ModelConfig& config, const PlanRequest& request) {
  const auto element = static_cast<double>(request.element_bytes);
  double bytes = element * static_cast<double>(parameter_count(config));
  for (const TensorSpec& matrix : layer_matrices(config)) {
    const double saved = matrix_bytes(matrix, {}, request.element_bytes) -
                         matrix_bytes(matrix, request.forms.of(matrix.role), request.element_bytes);
    bytes -= saved * static_cast<double>(config.num_layers);
  }
  return bytes;
}

}  // namespace

double attention_workspace(const ModelConfig& config, const PlanRequest& request) {
  if (request.on_gpu) return 0;
  // Keys, values and their gradients; queries, outputs and their gradients of a block; its scores and theirs.
  const std::int64_t block = kAttentionQueries, longest = request.sequence_length;
  const std::int64_t floats = (4 * longest + 3 * block) * config.head_dim + 2 * block * longest;
  const std::int64_t busy = std::min(request.threads, config.num_key_value_heads);
  return 4 * static_cast<double>(floats * busy);
}

std::int64_t PlanRequest::micro_batch_rows() const {
  const std::int64_t tokens = micro_batch_tokens(), tile = on_gpu ? layers::kRowsOfAGpuTile : 1;
  return (tokens + tile - 1) / tile * tile;
}

std::int64_t parameter_count(const ModelConfig& config) {
  const Sizes s = sizes_of(config);
  const double tables = s.vocabulary * s.hidden * (config.tie_word_embeddings ? 1 : 2);
  return static_cast<std::int64_t>(tables + layer_parameters(config) * static_cast<double>(config.num_layers) +
                                   s.hidden);
}

double kept_bytes_per_token(const ModelConfig& config, std::int64_t element_bytes) {
  const Sizes s = sizes_of(config);
  const auto element = static_cast<double>(element_bytes);
  const double normed = normed_channels(config), normed_heads = normed / static_cast<double>(config.head_dim);
  // Inputs of both norms and of the heads' norms, h, rotated q k v, attention's output and log-sum-exp, gate_up, the
  // norms' scales.
  return element * (3 * s.hidden + s.qkv + normed + s.attended + 2 * s.intermediate) + 4 * s.heads +
         (2 + normed_heads) * 4;
}

MemoryPlan plan_memory(const ModelConfig& config, const PlanRequest& request, std::int64_t recomputed_layers) {
  const Sizes s = sizes_of(config);
  const auto element = static_cast<double>(request.element_bytes);
  const auto rows = static_cast<double>(request.micro_batch_rows());
  const auto trained = static_cast<double>(config.num_layers - request.first_adapter_layer);
  const auto recomputed = static_cast<double>(recomputed_layers);
  MemoryPlan plan;
  plan.recomputed_layers = recomputed_layers;
  plan.weights = weight_bytes(config, request);
  // Layers above the lowest trained one, which keeps its input and h; and the last layer's output.
  const double again = std::min(recomputed, trained - 1);
  const double input = element * s.hidden;
  plan.activations = rows * ((trained - 1 - again) * kept_bytes_per_token(config, request.element_bytes) +
                             (again + 2) * input + (recomputed < trained ? input : 0)) +
                     mask_bytes(config, request);
  const std::int64_t head_rows = std::min(request.head_rows, request.micro_batch_tokens());
  plan.head = static_cast<double>(head_rows) * s.vocabulary * bytes_per_logit(request) + rows * s.hidden * 3 * element +
              head_product_workspace(config, request, head_rows);
  plan.adapter = trained * s.hidden * 8 * 4 * adapter_copies(request);
  // A recomputing layer holds its activations again; those that layers above kept are free by then.
  const bool recomputes_first = again >= trained - 1 && recomputed > 0;
  plan.workspace = layer_workspace(config, request) +
                   (recomputes_first ? rows * kept_bytes_per_token(config, request.element_bytes) : 0);
  plan.context = request.on_gpu ? kContextAllowance : 0;
  return plan;
}

std::optional<std::int64_t> fewest_recomputed_layers(const ModelConfig& config, const PlanRequest& request) {
  for (std::int64_t recomputed = 0; recomputed <= config.num_layers - request.first_adapter_layer; ++recomputed) {
    if (plan_memory(config, request, recomputed).total() <= request.budget_bytes) return recomputed;
  }
  return std::nullopt;
}

std::int64_t longest_sequence(const ModelConfig& config, const PlanRequest& request) {
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

std::int64_t packable_tokens(const ModelConfig& config, const PlanRequest& request, std::int64_t recomputed_layers,
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
