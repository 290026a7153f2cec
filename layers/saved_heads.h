// The shape of a row's heads among what an autograd Function keeps for backward, where only plain values fit.
#pragma once

#include <vector>

#include <torch/csrc/autograd/custom_function.h>

#include "layers/rope.h"

namespace nkat::layers {

inline void save_heads(torch::autograd::AutogradContext& context, const HeadShape& heads) {
  context.saved_data["heads"] = std::vector<std::int64_t>{heads.num_heads, heads.num_key_value_heads, heads.head_dim};
}

inline HeadShape saved_heads(torch::autograd::AutogradContext& context) {
  const std::vector<std::int64_t> sizes = context.saved_data["heads"].toIntVector();
  return {.num_heads = sizes[0], .num_key_value_heads = sizes[1], .head_dim = sizes[2]};
}

}  // namespace nkat::layers
