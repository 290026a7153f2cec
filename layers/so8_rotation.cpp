#include "layers/so8_rotation.h"

#include <cmath>

#include <ATen/Parallel.h>
#include <ATen/ops/empty_like.h>

#include "layers/check.h"
#include "layers/cpu/mat8.h"
#include "layers/kernels/launchers.h"

namespace nkat::layers {
namespace {

constexpr int kDegree = 18;  // 1/19! = 8e-18 at norm 1
constexpr std::int64_t kBlocksATask = 64;

// Squarings that undo a scaling to 1-norm <= 1; 0 for NaN and infinity, which then spread as NaN.
NKAT_INLINED int squarings(const Mat8& a) {
  double norm = 0;
  for (std::size_t column = 0; column < 8; ++column) {
    double sum = 0;
    for (std::size_t row = 0; row < 8; ++row) sum += std::abs(a.at[row][column]);
    norm = norm < sum ? sum : norm;
  }
  return norm > 1 && std::isfinite(norm) ? std::ilogb(norm) + 1 : 0;
}

NKAT_INLINED Mat8 scaled(const Mat8& a, double factor) {
  Mat8 out;
  for (std::size_t row = 0; row < 8; ++row)
    for (std::size_t column = 0; column < 8; ++column) out.at[row][column] = factor * a.at[row][column];
  return out;
}

// Horner: P_k = I + X P_{k+1} / k.
NKAT_INLINED Mat8 exponential(const Mat8& a) {
  const int count = squarings(a);
  const Mat8 x = scaled(a, std::ldexp(1.0, -count));
  Mat8 p = kIdentity8;
  for (int k = kDegree; k >= 1; --k) {
    const Mat8 before = p;
    multiply_add(kIdentity8, 1.0 / k, x, before, p);
  }
  for (int i = 0; i < count; ++i) p = multiply(p, p);
  return p;
}

// The derivative of exp at a in direction e: dP_k = (E P_{k+1} + X dP_{k+1}) / k, then L <- P L + L P beside P <- P P.
NKAT_INLINED Mat8 frechet(const Mat8& a, const Mat8& e) {
  const int count = squarings(a);
  const Mat8 x = scaled(a, std::ldexp(1.0, -count)), direction = scaled(e, std::ldexp(1.0, -count));
  const Mat8 zero = {};
  Mat8 p = kIdentity8, l = {};
  for (int k = kDegree; k >= 1; --k) {
    const Mat8 p_before = p, l_before = l;
    multiply_add(zero, 1.0 / k, direction, p_before, l);
    multiply_add(l, 1.0 / k, x, l_before, l);
    multiply_add(kIdentity8, 1.0 / k, x, p_before, p);
  }
  for (int i = 0; i < count; ++i) {
    const Mat8 p_before = p, l_before = l;
    multiply_add(zero, 1.0, p_before, l_before, l);
    multiply_add(l, 1.0, l_before, p_before, l);
    p = multiply(p_before, p_before);
  }
  return l;
}

NKAT_VECTORIZED void rotate(const double* weight, double* rotation, std::int64_t begin, std::int64_t end) {
  for (std::int64_t block = begin; block < end; ++block)
    store_matrix8(exponential(skew_part(load_matrix8(weight + 64 * block))), rotation + 64 * block);
}

NKAT_VECTORIZED void rotate_backward(const double* weight, const double* rotation_gradient, double* weight_gradient,
                                     std::int64_t begin, std::int64_t end) {
  for (std::int64_t block = begin; block < end; ++block) {
    const Mat8 a = skew_part(load_matrix8(weight + 64 * block));
    const Mat8 derivative = frechet(transpose(a), load_matrix8(rotation_gradient + 64 * block));
    store_matrix8(skew_part(derivative), weight_gradient + 64 * block);
  }
}

void check_blocks(std::string_view who, std::string_view name, const at::Tensor& blocks /* (..., 8, 8) */) {
  check_ends_in_blocks(who, name, blocks);
  check_dtype(who, name, blocks, {at::kFloat, at::kDouble});
  if (!blocks.is_cuda()) check_device(who, name, blocks, at::kCPU);
}

}  // namespace

at::Tensor so8_rotation(const at::Tensor& weight) {
  check_blocks("so8_rotation", "weight", weight);
  if (weight.is_cuda()) return kernels::so8_rotation(weight.detach().contiguous());
  const at::Tensor source = weight.detach().to(at::kDouble).contiguous();  // (..., 8, 8)
  const at::Tensor rotation = at::empty_like(source);
  at::parallel_for(0, source.numel() / 64, kBlocksATask, [&](std::int64_t begin, std::int64_t end) {
    rotate(source.const_data_ptr<double>(), rotation.mutable_data_ptr<double>(), begin, end);
  });
  return rotation.to(weight.scalar_type());
}

at::Tensor so8_rotation_backward(const at::Tensor& weight, const at::Tensor& rotation_gradient) {
  check_blocks("so8_rotation_backward", "weight", weight);
  check_blocks("so8_rotation_backward", "rotation_gradient", rotation_gradient);
  check_same_shape("so8_rotation_backward", "rotation_gradient", rotation_gradient, weight);
  check_device("so8_rotation_backward", "rotation_gradient", rotation_gradient, weight.device());
  if (weight.is_cuda())
    return kernels::so8_rotation_backward(weight.detach().contiguous(),
                                          rotation_gradient.detach().to(weight.scalar_type()).contiguous());
  const at::Tensor source = weight.detach().to(at::kDouble).contiguous();               // (..., 8, 8)
  const at::Tensor gradient = rotation_gradient.detach().to(at::kDouble).contiguous();  // (..., 8, 8)
  const at::Tensor weight_gradient = at::empty_like(source);
  at::parallel_for(0, source.numel() / 64, kBlocksATask, [&](std::int64_t begin, std::int64_t end) {
    rotate_backward(source.const_data_ptr<double>(), gradient.const_data_ptr<double>(),
                    weight_gradient.mutable_data_ptr<double>(), begin, end);
  });
  return weight_gradient.to(weight.scalar_type());
}

}  // namespace nkat::layers
