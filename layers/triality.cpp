#include "layers/triality.h"

#include <ATen/Parallel.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/zeros_like.h>

#include "layers/check.h"
#include "layers/cpu/octonion.h"

namespace nkat::layers {
namespace {

constexpr std::int64_t kTriplesATask = 16;

struct Triple {
  Mat8 v, s, c;
};

NKAT_INLINED Triple load_triple(const double* blocks) {
  return {load_matrix8(blocks), load_matrix8(blocks + 64), load_matrix8(blocks + 128)};
}

// Column j is R_v(e_i e_j) - R_s(e_i) R_c(e_j); left = the matrix of y -> R_s(e_i) y.
NKAT_INLINED Mat8 residual(const Triple& r, const Mat8& left, std::size_t i) {
  Mat8 out;
  for (std::size_t row = 0; row < 8; ++row)
    for (std::size_t j = 0; j < 8; ++j) out.at[row][j] = kOctonions.sign[i][j] * r.v.at[row][kOctonions.index[i][j]];
  multiply_add(out, -1.0, left, r.c, out);
  return out;
}

NKAT_INLINED Mat8 left_by_image(const Mat8& s, std::size_t i) {
  double image[8];
  for (std::size_t row = 0; row < 8; ++row) image[row] = s.at[row][i];
  return left_multiplication(image);
}

NKAT_VECTORIZED void losses(const double* rotation, double* out, std::int64_t begin, std::int64_t end) {
  for (std::int64_t triple = begin; triple < end; ++triple) {
    const Triple r = load_triple(rotation + 192 * triple);
    double sum = 0;
    for (std::size_t i = 0; i < 8; ++i) {
      const Mat8 d = residual(r, left_by_image(r.s, i), i);
      for (std::size_t entry = 0; entry < 64; ++entry) sum += d.at[entry / 8][entry % 8] * d.at[entry / 8][entry % 8];
    }
    out[triple] = sum / 64;
  }
}

// Adds the gradient of factor/2 * sum |residual_i|^2 for one i.
NKAT_INLINED void add_gradient(const Triple& r, const Mat8& c_transposed, double factor, std::size_t i,
                               Triple& gradient) {
  const Mat8 left = left_by_image(r.s, i), d = residual(r, left, i);
  for (std::size_t row = 0; row < 8; ++row)
    for (std::size_t j = 0; j < 8; ++j)
      gradient.v.at[row][kOctonions.index[i][j]] += factor * kOctonions.sign[i][j] * d.at[row][j];
  multiply_add(gradient.c, -factor, transpose(left), d, gradient.c);
  const Mat8 left_gradient = multiply(d, c_transposed);  // dL/d(left) = -factor d c^T
  for (std::size_t p = 0; p < 8; ++p)
    for (std::size_t q = 0; q < 8; ++q)
      gradient.s.at[p][i] -= factor * kOctonions.sign[p][q] * left_gradient.at[kOctonions.index[p][q]][q];
}

NKAT_VECTORIZED void gradients(const double* rotation, double factor, double* out, std::int64_t begin,
                               std::int64_t end) {
  for (std::int64_t triple = begin; triple < end; ++triple) {
    const Triple r = load_triple(rotation + 192 * triple);
    const Mat8 c_transposed = transpose(r.c);
    Triple gradient = {};
    for (std::size_t i = 0; i < 8; ++i) add_gradient(r, c_transposed, factor, i, gradient);
    store_matrix8(gradient.v, out + 192 * triple);
    store_matrix8(gradient.s, out + 192 * triple + 64);
    store_matrix8(gradient.c, out + 192 * triple + 128);
  }
}

// The rotation as float64, checked.
at::Tensor source_of(std::string_view who, const at::Tensor& rotation /* (N, 8, 8) */) {
  check_shape(who, "rotation", rotation, {{"N"}, {"8", 8}, {"8", 8}});
  check_dtype(who, "rotation", rotation, {at::kFloat, at::kDouble});
  check_device(who, "rotation", rotation, at::kCPU);
  return rotation.detach().to(at::kDouble).contiguous();
}

}  // namespace

at::Tensor triality_loss(const at::Tensor& rotation) {
  const at::Tensor source = source_of("triality_loss", rotation);  // (N, 8, 8)
  const std::int64_t triples = source.size(0) / 3;
  std::vector<double> each(static_cast<std::size_t>(triples));
  at::parallel_for(0, triples, kTriplesATask, [&](std::int64_t begin, std::int64_t end) {
    losses(source.const_data_ptr<double>(), each.data(), begin, end);
  });
  double sum = 0;
  for (const double loss : each) sum += loss;
  return at::scalar_tensor(triples == 0 ? 0.0 : sum / static_cast<double>(triples), rotation.options());
}

at::Tensor triality_loss_backward(const at::Tensor& rotation) {
  const at::Tensor source = source_of("triality_loss_backward", rotation);  // (N, 8, 8)
  const std::int64_t triples = source.size(0) / 3;
  const at::Tensor gradient = at::zeros_like(source);
  at::parallel_for(0, triples, kTriplesATask, [&](std::int64_t begin, std::int64_t end) {
    gradients(source.const_data_ptr<double>(), 2.0 / (64.0 * static_cast<double>(triples)),
              gradient.mutable_data_ptr<double>(), begin, end);
  });
  return gradient.to(rotation.scalar_type());
}

}  // namespace nkat::layers
