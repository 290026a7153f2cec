#include "models/weights/weight_format.h"

#include "layers/cpu/gemm_tiles.h"

namespace nkat::models {

const WeightFormat& LayerFormats::of(MatrixRole role) const {
  switch (role) {
    case MatrixRole::kQkv: return qkv;
    case MatrixRole::kAttentionOutput: return attention_output;
    case MatrixRole::kGateUp: return gate_up;
    default: return down;
  }
}

// Chosen by the cosine of the adapter's gradient to that of the dense base (layers/MEASURED.md): an input rounded in
// one term loses what stands beside a large channel, a gradient does not; NF4 in more than gate_up, 44 % of the
// weights, leaves less than 0.95.
LayerFormats formats_of(BaseFormat kind) {
  using Storage = WeightFormat::Storage;
  const WeightFormat int8{.storage = Storage::kInt8, .input_passes = 2, .gradient_passes = 1};
  switch (kind) {
    case BaseFormat::kBalanced: return {int8, int8, int8, int8};
    case BaseFormat::kAggressive: return {int8, int8, {.storage = Storage::kNf4}, int8};
    default: return {};
  }
}

std::vector<MatrixShape> layer_matrices(const Phi3Config& config) {
  const std::int64_t h = config.hidden_size, f = config.intermediate_size;
  return {{MatrixRole::kQkv, config.qkv_rows(), h},
          {MatrixRole::kAttentionOutput, h, config.num_heads * config.head_dim},
          {MatrixRole::kGateUp, 2 * f, h},
          {MatrixRole::kDown, h, f}};
}

double matrix_bytes(const MatrixShape& shape, const WeightFormat& form, std::int64_t element_bytes) {
  const auto rows = static_cast<double>(shape.rows), columns = static_cast<double>(shape.columns);
  switch (form.storage) {
    case WeightFormat::Storage::kInt8: return rows * (columns + 4) + 4 * columns;
    case WeightFormat::Storage::kNf4:
      return rows *
                 (columns / 2 + 2 * static_cast<double>((shape.columns + layers::kNf4Block - 1) / layers::kNf4Block)) +
             4 * columns;
    default: return rows * columns * static_cast<double>(element_bytes);
  }
}

}  // namespace nkat::models
