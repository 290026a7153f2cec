// Rotary position embedding (RoPE), plain, with longrope's factors, or with a scaling (rope_scaling.h).
//
//   angle(p, i) = p / (factor(i) theta^(2i/d)),  i < d/2,  d = rotary dimension
//   channels i and i + d/2 of a head are rotated by angle(p, i); channels from d on pass through
//
// factor(i) is 1 without factor lists, else short_factor, or long_factor (if given) in a sequence longer than
// original_length.
// cos and sin are computed in float32, multiplied by attention_factor, and rounded to the activations' type
// (as transformers does, so that the rounding of large angles agrees).
#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

#include "layers/kernels/arguments.h"
#include "layers/rope_scaling.h"

namespace nkat::layers {

struct RopeSettings {
  std::int64_t rotary_dim = 0;
  double theta = 10000;
  double attention_factor = 1;
  std::int64_t original_length = 0;
  std::vector<double> short_factor = {};  // rotary_dim / 2 entries, or empty
  std::vector<double> long_factor = {};   // as many, or empty
  RopeScaling scaling = {};
};

class RopeTable {
 public:
  RopeTable(const RopeSettings& settings, at::ScalarType dtype, at::Device device);

  bool is_long(std::int64_t sequence_length) const { return has_factors_ && sequence_length > original_length_; }
  // Angles of positions first .. sequence_length - 1 of a sequence with sequence_length tokens so far.
  RopeAngles angles(std::int64_t first, std::int64_t sequence_length) const;

 private:
  double attention_factor_;
  std::int64_t original_length_;
  bool has_factors_;
  at::ScalarType dtype_;
  at::Tensor short_frequencies_;  // (rotary_dim / 2) float32
  at::Tensor long_frequencies_;   // (rotary_dim / 2) float32
};

// A row of qkv_proj's output: num_heads query heads, then the key heads, then the value heads.
struct HeadShape {
  std::int64_t num_heads = 0;
  std::int64_t num_key_value_heads = 0;
  std::int64_t head_dim = 0;

  // For autograd's saved_data, which holds plain values only.
  std::vector<std::int64_t> to_vector() const { return {num_heads, num_key_value_heads, head_dim}; }
  static HeadShape from_vector(const std::vector<std::int64_t>& sizes) { return {sizes[0], sizes[1], sizes[2]}; }
};

// Rotates the query and key heads of qkv (T, (heads + 2 kv heads) head_dim) in place and returns it, so that
// attention's q, k and v stay views of one buffer. Products and sums in float32, rounded once. Saved for backward: cos
// and sin.
at::Tensor apply_rope_(at::Tensor qkv, const RopeAngles& angles, const HeadShape& heads);

}  // namespace nkat::layers
