#include "models/planning/gemm_workspace.h"

#include <algorithm>
#include <cmath>

#include "layers/cpu/gemm_tiles.h"

namespace nkat::models {
namespace {

using namespace layers;

constexpr double kInt8StepBytes = 24;                      // of each entry that ATen's float32 steps hold
constexpr double kNf4LookUpBytes = 1 + 1 + 2 + 4 + 4 + 4;  // index, level and product of an entry

struct Sides {
  double inputs, outputs;  // channels of a row
};

double panel_width(double columns) {
  return static_cast<double>(widened_panel_width(static_cast<std::int64_t>(columns)));
}

// A panel is one thread's, so no more threads than panels hold anything.
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

// Rows in 8-bit passes, the int32 sums of a tile, and going backward the tile's transposed copy.
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

}  // namespace

double product_workspace(const Phi3Config& config, const PlanRequest& request, MatrixRole role,
                         ProductDirection direction) {
  const std::vector<MatrixShape> matrices = layer_matrices(config);
  const auto matrix = std::ranges::find(matrices, role, &MatrixShape::role);
  const auto rows = static_cast<double>(matrix->rows), columns = static_cast<double>(matrix->columns);
  const Sides sides = direction == ProductDirection::kForward ? Sides{columns, rows} : Sides{rows, columns};
  return form_workspace(request.forms.of(role), direction, sides, request);
}

double head_product_workspace(const Phi3Config& config, const PlanRequest& request, std::int64_t rows) {
  if (!request.widened) return 0;
  const Sides sides{static_cast<double>(config.hidden_size), static_cast<double>(config.vocab_size)};
  return 4 * static_cast<double>(rows) * sides.inputs + busy_threads(sides.outputs, request) * panel_bytes(sides);
}

double attention_workspace(const Phi3Config& config, const PlanRequest& request) {
  if (request.on_gpu) return 0;
  // Keys, values and their gradients; queries, outputs and their gradients of a block; its scores and theirs.
  const std::int64_t block = kAttentionQueries, longest = request.sequence_length;
  const std::int64_t floats = (4 * longest + 3 * block) * config.head_dim + 2 * block * longest;
  const std::int64_t busy = std::min(request.threads, config.num_key_value_heads);
  return 4 * static_cast<double>(floats * busy);
}

}  // namespace nkat::models
