#include "layers/rope.h"

#include <numbers>

#include <ATen/ops/pow.h>
#include <ATen/ops/where.h>
#include <torch/csrc/autograd/custom_function.h>

#include "core/error.h"
#include "layers/check.h"
#include "layers/cpu/loops.h"
#include "layers/kernels/launchers.h"

namespace nkat::layers {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// As transformers computes it, operation by operation, so that the float32 values agree.
at::Tensor llama3_frequencies(const at::Tensor& plain, const RopeScaling& scaling) {
  const auto length = static_cast<double>(scaling.original_length);
  const at::Tensor wavelength = 2 * std::numbers::pi / plain;
  const at::Tensor is_long = wavelength > length / scaling.low_frequency;
  const at::Tensor is_short = wavelength < length / scaling.high_frequency;
  const at::Tensor stretched = at::where(is_long, plain / scaling.factor, plain);
  const at::Tensor smooth =
      (length / wavelength - scaling.low_frequency) / (scaling.high_frequency - scaling.low_frequency);
  const at::Tensor between = (1 - smooth) * stretched / scaling.factor + smooth * stretched;
  return at::where(is_short | is_long, stretched, between);
}

at::Tensor frequencies(const RopeSettings& settings, const std::vector<double>& factor) {
  const at::Tensor exponent = at::arange(0, settings.rotary_dim, 2, at::kFloat) / settings.rotary_dim;
  at::Tensor period = at::pow(at::Scalar(settings.theta), exponent);
  if (!factor.empty()) period = at::tensor(factor, at::kDouble).to(at::kFloat) * period;
  const at::Tensor plain = period.reciprocal();
  switch (settings.scaling.kind) {
    case RopeScaling::Kind::kLinear: return plain / settings.scaling.factor;
    case RopeScaling::Kind::kLlama3: return llama3_frequencies(plain, settings.scaling);
    default: return plain;
  }
}

void rotate_heads_(const at::Tensor& rows, const RopeAngles& angles, HeadSpan heads, bool back) {
  if (rows.is_cuda()) return kernels::rotate_heads_(rows, angles, heads, back);
  cpu::rotate_heads_(rows, angles, heads, back);
}

class Rope : public torch::autograd::Function<Rope> {
 public:
  static at::Tensor forward(AutogradContext* context, at::Tensor qkv, const RopeAngles& angles, HeadSpan heads) {
    context->save_for_backward({angles.cos, angles.sin});
    context->saved_data["count"] = heads.count;
    context->saved_data["head_dim"] = heads.head_dim;
    rotate_heads_(qkv, angles, heads, /*back=*/false);
    context->mark_dirty({qkv});
    return qkv;
  }

  // The transpose of a rotation (times a factor) rotates by the opposite angle.
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const HeadSpan heads{context->saved_data["count"].toInt(), context->saved_data["head_dim"].toInt()};
    at::Tensor gradient = gradients[0].clone(at::MemoryFormat::Contiguous);
    rotate_heads_(gradient, {.cos = saved[0], .sin = saved[1]}, heads, /*back=*/true);
    return {gradient, at::Tensor(), at::Tensor()};
  }
};

}  // namespace

RopeTable::RopeTable(const RopeSettings& settings, at::ScalarType dtype, at::Device device)
    : attention_factor_(settings.attention_factor),
      original_length_(settings.original_length),
      has_factors_(!settings.long_factor.empty()),
      dtype_(dtype),
      short_frequencies_(frequencies(settings, settings.short_factor).to(device)),
      long_frequencies_(frequencies(settings, settings.long_factor).to(device)) {}

RopeAngles RopeTable::angles(std::int64_t first, std::int64_t sequence_length) const {
  const at::Tensor& frequency = is_long(sequence_length) ? long_frequencies_ : short_frequencies_;
  const at::Tensor positions = at::arange(first, sequence_length, frequency.options());
  const at::Tensor angle = positions.unsqueeze(1) * frequency;  // (T, rotary_dim / 2)
  return {.cos = (angle.cos() * attention_factor_).to(dtype_), .sin = (angle.sin() * attention_factor_).to(dtype_)};
}

at::Tensor apply_rope_(at::Tensor qkv, const RopeAngles& angles, const HeadShape& heads) {
  check_shape("rotary embedding", "qkv", qkv,
              {{"T", angles.cos.size(0)},
               {"(heads + 2 kv heads) head_dim", (heads.num_heads + 2 * heads.num_key_value_heads) * heads.head_dim}});
  check_dtype("rotary embedding", "cos", angles.cos, {qkv.scalar_type()});
  check_device("rotary embedding", "cos", angles.cos, qkv.device());
  NKAT_INVARIANT(2 * angles.cos.size(1) <= heads.head_dim);
  NKAT_INVARIANT(qkv.is_contiguous());
  return Rope::apply(std::move(qkv), RopeAngles{angles.cos.contiguous(), angles.sin.contiguous()},
                     HeadSpan{heads.num_heads + heads.num_key_value_heads, heads.head_dim});
}

}  // namespace nkat::layers
