#include "layers/attention.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include <ATen/ops/scaled_dot_product_attention.h>
#include <torch/csrc/autograd/custom_function.h>

#include "core/error.h"
#include "layers/check.h"
#include "layers/cpu/attention.h"

namespace nkat::layers {
namespace {

constexpr const char* kWidthName = "(heads + 2 kv heads) head_dim";

// (t, heads head_dim) -> (1, heads, t, head_dim), a view
at::Tensor by_head(const at::Tensor& rows, std::int64_t heads, std::int64_t head_dim) {
  return rows.view({rows.size(0), heads, head_dim}).transpose(0, 1).unsqueeze(0);
}

// (1, heads, t, head_dim) -> (t, heads head_dim)
at::Tensor by_row(const at::Tensor& attended) {
  return attended.squeeze(0).transpose(0, 1).reshape({attended.size(2), -1});
}

at::Tensor attend(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, const at::Tensor& mask,
                  bool causal) {
  const std::optional<at::Tensor> given_mask = mask.defined() ? std::optional(mask) : std::nullopt;
  return at::scaled_dot_product_attention(query, key, value, given_mask, /*dropout_p=*/0.0, causal,
                                          /*scale=*/std::nullopt, /*enable_gqa=*/query.size(1) != key.size(1));
}

class CpuAttention : public torch::autograd::Function<CpuAttention> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& qkv,
                            const std::vector<std::int64_t>& lengths, const HeadShape& heads) {
    const cpu::Attended attended = cpu::causal_attention(qkv, lengths, heads);
    context->save_for_backward({qkv, attended.out, attended.log_sum_exps});
    context->saved_data["lengths"] = lengths;
    context->saved_data["heads"] = heads.to_vector();
    return attended.out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const torch::autograd::variable_list saved = context->get_saved_variables();
    return {
        cpu::causal_attention_backward(gradients[0].contiguous(), saved[0], {.out = saved[1], .log_sum_exps = saved[2]},
                                       context->saved_data["lengths"].toIntVector(),
                                       HeadShape::from_vector(context->saved_data["heads"].toIntVector())),
        at::Tensor(), at::Tensor()};
  }
};

bool has_cpu_loops(const at::Tensor& qkv) {
  return qkv.is_cpu() && (qkv.scalar_type() == at::kFloat || qkv.scalar_type() == at::kBFloat16);
}

// (rows, length) bool: the keys that the last `rows` queries of a sequence see; undefined if that is plain causal.
at::Tensor causal_mask(std::int64_t rows, std::int64_t length, std::optional<std::int64_t> window, at::Device device) {
  const bool windowed = window && *window < length;
  if (rows == length && !windowed) return {};
  const at::Tensor mask = at::ones({rows, length}, at::TensorOptions(device).dtype(at::kBool)).tril_(length - rows);
  return windowed ? mask.triu(length - rows + 1 - *window) : mask;
}

// What is added to scores. ATen would make it anew of bools for each layer, and keep each for backward.
at::Tensor additive(const at::Tensor& mask, at::ScalarType type) {
  if (!mask.defined()) return {};
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  return at::zeros(mask.sizes(), mask.options().dtype(type)).masked_fill_(mask.logical_not(), -kInfinity);
}

}  // namespace

at::Tensor sliding_window_mask(std::int64_t length, std::optional<std::int64_t> window, at::Device device) {
  return causal_mask(length, length, window, device);
}

void prepare_attention(PackedSequences& layout, std::optional<std::int64_t> window, const HeadShape& heads,
                       const at::TensorOptions& activations) {
  layout.masks.clear();
  layout.flash = {};
  if (has_flash_attention(activations, heads, layout.lengths)) {
    layout.flash = flash_sequences(layout.lengths, window, activations.device());
    return;
  }
  for (const std::int64_t length : layout.lengths)
    layout.masks.push_back(additive(sliding_window_mask(length, window, activations.device()),
                                    c10::typeMetaToScalarType(activations.dtype())));
}

at::Tensor causal_attention(const at::Tensor& qkv, const PackedSequences& layout, const HeadShape& heads) {
  const std::int64_t d = heads.head_dim;
  const std::vector<std::int64_t> widths = {heads.num_heads * d, heads.num_key_value_heads * d,
                                            heads.num_key_value_heads * d};
  check_shape("attention", "qkv", qkv, {{"T"}, {kWidthName, (widths[0] + 2 * widths[1])}});
  NKAT_INVARIANT(std::accumulate(layout.lengths.begin(), layout.lengths.end(), std::int64_t{0}) == qkv.size(0));
  NKAT_INVARIANT(heads.num_heads % heads.num_key_value_heads == 0);
  if (layout.flash.cu_seqlens.defined()) return flash_attention(qkv.contiguous(), layout.flash, heads);
  NKAT_INVARIANT(layout.masks.size() == layout.lengths.size());
  const auto is_windowed = [](const at::Tensor& mask) { return mask.defined(); };
  if (has_cpu_loops(qkv) && std::ranges::none_of(layout.masks, is_windowed))
    return CpuAttention::apply(qkv.contiguous(), layout.lengths, heads);
  // split, unlike slicing, has a backward that writes each gradient once.
  const std::vector<at::Tensor> samples = qkv.split_with_sizes(layout.lengths, 0);
  std::vector<at::Tensor> attended;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    if (has_cpu_loops(qkv) && !is_windowed(layout.masks[i])) {
      attended.push_back(
          CpuAttention::apply(samples[i].contiguous(), std::vector<std::int64_t>{layout.lengths[i]}, heads));
      continue;
    }
    const std::vector<at::Tensor> parts = samples[i].split_with_sizes(widths, 1);
    const at::Tensor& mask = layout.masks[i];
    attended.push_back(
        by_row(attend(by_head(parts[0], heads.num_heads, d), by_head(parts[1], heads.num_key_value_heads, d),
                      by_head(parts[2], heads.num_key_value_heads, d), mask, !mask.defined())));
  }
  return attended.size() == 1 ? attended[0] : at::cat(attended);
}

at::Tensor cached_attention(const at::Tensor& qkv, const at::Tensor& keys, const at::Tensor& values,
                            const HeadShape& heads, std::optional<std::int64_t> window) {
  constexpr const char* kWho = "cached attention";
  const Dimension kv_heads{"kv heads", heads.num_key_value_heads}, head_dim{"head_dim", heads.head_dim};
  check_shape(kWho, "qkv", qkv,
              {{"n"}, {kWidthName, (heads.num_heads + 2 * heads.num_key_value_heads) * heads.head_dim}});
  check_shape(kWho, "keys", keys, {{"S"}, kv_heads, head_dim});
  check_shape(kWho, "values", values, {{"S", keys.size(0)}, kv_heads, head_dim});
  check_dtype(kWho, "keys", keys, {qkv.scalar_type()});
  check_dtype(kWho, "values", values, {qkv.scalar_type()});
  check_device(kWho, "keys", keys, qkv.device());
  check_device(kWho, "values", values, qkv.device());
  const std::int64_t rows = qkv.size(0), length = keys.size(0);
  const at::Tensor query = by_head(qkv.narrow(1, 0, heads.num_heads * heads.head_dim), heads.num_heads, heads.head_dim);
  // A single row needs no mask: it sees the last keys of its window.
  const std::int64_t seen = rows == 1 && window ? std::min(*window, length) : length;
  const at::Tensor mask = rows == 1 ? at::Tensor() : causal_mask(rows, length, window, qkv.device());
  const auto recent = [&](const at::Tensor& cached) {
    return cached.narrow(0, length - seen, seen).transpose(0, 1).unsqueeze(0);  // (1, kv heads, seen, head_dim)
  };
  return by_row(attend(query, recent(keys), recent(values), mask, rows > 1 && !mask.defined()));
}

}  // namespace nkat::layers
