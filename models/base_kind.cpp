#include "models/base_kind.h"

#include <algorithm>

#include "core/error.h"

namespace nkat::models {

const char* const kBaseHelp =
    "how the frozen matrices are held: safe, as numbers; balanced, as 8-bit integers with row scales; aggressive, "
    "gate_up_proj in four bits (NF4) and the others as 8-bit integers. For Phi-3.5-mini 7.12, 3.75 and 3.09 GiB. "
    "Exports "
    "merge into the original weights";

const std::vector<std::string>& base_kind_names() {
  static const std::vector<std::string> names = {"safe", "balanced", "aggressive"};  // in the order of BaseKind
  return names;
}

BaseKind base_kind(const std::string& name) {
  const auto& names = base_kind_names();
  const auto found = std::find(names.begin(), names.end(), name);
  NKAT_INVARIANT(found != names.end());
  return static_cast<BaseKind>(found - names.begin());
}

const MatrixForm& BaseForms::of(MatrixRole role) const {
  switch (role) {
    case MatrixRole::kQkv: return qkv;
    case MatrixRole::kAttentionOutput: return attention_output;
    case MatrixRole::kGateUp: return gate_up;
    default: return down;
  }
}

// By the cosine of the adapter's gradient to that of the dense base, lowest layer, on the demo model (M; W) and on the
// same model with three channels of each input 20 to 60 times larger (M; W):
//   8 bits, one term                   0.999; 0.998    0.788; 0.671
//   8 bits, two terms for the input    0.999; 0.998    0.988; 0.979    and 0.988; 0.979 with two for the gradient
//   gate_up in NF4, the rest in 8      0.979; 0.967    0.836; 0.765    (on 16 other samples: 0.977; 0.946)
//   gate_up and down in NF4            0.962; 0.937
//   all but down in NF4                0.937; 0.882
//   all in NF4                         0.928; 0.863
// So inputs take two terms, and what is to stay near 0.95 has NF4 in gate_up alone, 44 % of the weights. On a random
// model of hidden size 768 and 8 layers the second row gives 0.998; 0.998.
BaseForms forms_of(BaseKind kind) {
  using Storage = MatrixForm::Storage;
  const MatrixForm int8{.storage = Storage::kInt8, .input_terms = 2, .gradient_terms = 1};
  switch (kind) {
    case BaseKind::kBalanced: return {int8, int8, int8, int8};
    case BaseKind::kAggressive: return {int8, int8, {.storage = Storage::kNf4}, int8};
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

double matrix_bytes(const MatrixShape& shape, const MatrixForm& form, std::int64_t element_bytes) {
  const auto rows = static_cast<double>(shape.rows), columns = static_cast<double>(shape.columns);
  switch (form.storage) {
    case MatrixForm::Storage::kInt8: return rows * (columns + 4);
    case MatrixForm::Storage::kNf4: return rows * (columns / 2 + 4 * static_cast<double>((shape.columns + 63) / 64));
    default: return rows * columns * static_cast<double>(element_bytes);
  }
}

}  // namespace nkat::models
