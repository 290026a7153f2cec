#include "models/weights/weight_format.h"

#include "core/error.h"
#include "layers/cpu/gemm_tiles.h"

namespace nkat::models {

const WeightFormat& LayerFormats::of(TensorRole role) const {
  switch (role) {
    case TensorRole::kQkv: return qkv;
    case TensorRole::kAttentionOutput: return attention_output;
    case TensorRole::kGateUp: return gate_up;
    case TensorRole::kDown: return down;
    default: NKAT_INVARIANT(false);
  }
}

// Chosen by the cosine of the adapter's gradient to that of the dense base (layers/MEASURED.md): an input rounded in
// one pass loses the channels beside a large one, a gradient doesn't; NF4 in more than gate_up (44 % of the weights)
// leaves less than 0.95.
LayerFormats formats_of(BaseFormat kind) {
  using Storage = WeightFormat::Storage;
  const WeightFormat int8{.storage = Storage::kInt8, .input_passes = 2, .gradient_passes = 1};
  switch (kind) {
    case BaseFormat::kBalanced: return {int8, int8, int8, int8};
    case BaseFormat::kAggressive: return {int8, int8, {.storage = Storage::kNf4}, int8};
    default: return {};
  }
}

double matrix_bytes(const TensorSpec& matrix, const WeightFormat& form, std::int64_t element_bytes) {
  const std::int64_t width = matrix.shape[1];
  const auto rows = static_cast<double>(matrix.shape[0]), columns = static_cast<double>(width);
  switch (form.storage) {
    case WeightFormat::Storage::kInt8: return rows * (columns + 4) + 4 * columns;
    case WeightFormat::Storage::kNf4: {
      const std::int64_t blocks = (width + layers::kNf4Block - 1) / layers::kNf4Block;
      return rows * (columns / 2 + 2 * static_cast<double>(blocks)) + 4 * columns;
    }
    default: return rows * columns * static_cast<double>(element_bytes);
  }
}

}  // namespace nkat::models
