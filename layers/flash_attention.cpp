#include "layers/flash_attention.h"

#include <algorithm>
#include <array>

#include <ATen/ops/_flash_attention_backward.h>
#include <ATen/ops/_flash_attention_forward.h>
#include <ATen/ops/cat.h>
#include <torch/csrc/autograd/custom_function.h>

namespace nkat::layers {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr std::int64_t kLargestHead = 192;

// (T, heads, head_dim), (T, kv heads, head_dim) twice: views of qkv
std::array<at::Tensor, 3> heads_of(const at::Tensor& qkv, const HeadShape& heads) {
  const auto part = [&](std::int64_t first, std::int64_t count) {
    return qkv.narrow(1, first * heads.head_dim, count * heads.head_dim).unflatten(1, {count, heads.head_dim});
  };
  return {part(0, heads.num_heads), part(heads.num_heads, heads.num_key_value_heads),
          part(heads.num_heads + heads.num_key_value_heads, heads.num_key_value_heads)};
}

// The kernel's window is the number of keys left of a query's own; none means all.
std::optional<std::int64_t> keys_to_the_left(const FlashSequences& sequences) {
  if (!sequences.window || *sequences.window >= sequences.longest) return std::nullopt;
  return *sequences.window - 1;
}

class FlashAttention : public torch::autograd::Function<FlashAttention> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& qkv, const FlashSequences& sequences,
                            const HeadShape& heads) {
    const auto [q, k, v] = heads_of(qkv, heads);
    const auto left = keys_to_the_left(sequences);
    const auto [out, log_sum_exp, random_state, unused, mask] = at::_flash_attention_forward(
        q, k, v, sequences.cu_seqlens, sequences.cu_seqlens, sequences.longest, sequences.longest, /*dropout_p=*/0.0,
        /*is_causal=*/true, /*return_debug_mask=*/false, /*scale=*/std::nullopt, left, /*window_size_right=*/{});
    context->save_for_backward({qkv, out, log_sum_exp, sequences.cu_seqlens, random_state, unused});
    context->saved_data["longest"] = sequences.longest;
    context->saved_data["left"] = left;
    context->saved_data["heads"] = heads.to_vector();
    return out;  // (T, heads, head_dim)
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &qkv = saved[0], &out = saved[1], &log_sum_exp = saved[2], &cu_seqlens = saved[3];
    const std::int64_t longest = context->saved_data["longest"].toInt();
    const auto left = context->saved_data["left"].toOptional<std::int64_t>();
    const auto [q, k, v] = heads_of(qkv, HeadShape::from_vector(context->saved_data["heads"].toIntVector()));
    const auto [dq, dk, dv] = at::_flash_attention_backward(gradients[0].contiguous(), q, k, v, out, log_sum_exp,
                                                            cu_seqlens, cu_seqlens, longest, longest, /*dropout_p=*/0.0,
                                                            /*is_causal=*/true, saved[4], saved[5],
                                                            /*scale=*/std::nullopt, left, /*window_size_right=*/{});
    return {at::cat({dq.flatten(1), dk.flatten(1), dv.flatten(1)}, 1), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

bool has_flash_attention(const at::TensorOptions& activations, const HeadShape& heads,
                         const std::vector<std::int64_t>& lengths) {
  const auto type = activations.dtype().toScalarType();
  return activations.device().is_cuda() && (type == at::kBFloat16 || type == at::kHalf) && heads.head_dim % 8 == 0 &&
         heads.head_dim <= kLargestHead && !lengths.empty() && *std::ranges::max_element(lengths) > 1;
}

FlashSequences flash_sequences(const std::vector<std::int64_t>& lengths, std::optional<std::int64_t> window,
                               at::Device device) {
  std::vector<int> ends = {0};
  for (const std::int64_t length : lengths) ends.push_back(ends.back() + static_cast<int>(length));
  return {.cu_seqlens = at::tensor(ends, at::kInt).to(device),
          .longest = lengths.empty() ? 0 : *std::ranges::max_element(lengths),
          .window = window};
}

at::Tensor flash_attention(const at::Tensor& qkv, const FlashSequences& sequences, const HeadShape& heads) {
  return FlashAttention::apply(qkv, sequences, heads).flatten(1);
}

}  // namespace nkat::layers
