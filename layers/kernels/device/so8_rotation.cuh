// Device code of R = exp(A), A = (W - Wᵀ)/2, and its adjoint: 8 lanes per matrix, lane j holding column j of every
// running matrix in registers. A product P Q needs all of P and column j of Q, so P lies in shared memory: the Taylor
// steps multiply by the same X and need no exchange, a squaring exchanges once. Float64 throughout, rounded once.
#pragma once

namespace nkat::layers::device {

constexpr int kMatricesPerCta = 4;  // one warp, so that its lanes only ever wait for one another
constexpr int kDegree = 18;         // of the Taylor polynomial: 1/19! = 8e-18 at 1-norm 1
constexpr int kSquarings = 6;  // of every matrix of 1-norm up to 2^6, hence of every spectral norm up to 64/sqrt(7)
constexpr int kStride = 65;    // doubles per matrix in shared memory: four matrices' entries lie in different banks

// m (8, 8) row-major, column x -> m x. A const volatile m is read anew each time, where it must not fill registers.
template <typename Entry>
__device__ __forceinline__ void multiply(const Entry* m, const double (&x)[8], double (&out)[8]) {
#pragma unroll
  for (int row = 0; row < 8; ++row) {
    double sum = 0;
#pragma unroll
    for (int k = 0; k < 8; ++k) sum += m[8 * row + k] * x[k];
    out[row] = sum;
  }
}

__device__ __forceinline__ void write_column(double* m, int lane, const double (&x)[8]) {
#pragma unroll
  for (int row = 0; row < 8; ++row) m[8 * row + lane] = x[row];
}

template <typename Real>
__device__ __forceinline__ void read_column(const Real* m /* or null: zeros */, int lane, double (&x)[8]) {
#pragma unroll
  for (int row = 0; row < 8; ++row) x[row] = m == nullptr ? 0.0 : static_cast<double>(m[8 * row + lane]);
}

// Column `lane` of sign (W - Wᵀ)/2.
template <typename Real>
__device__ __forceinline__ void read_skew_column(const Real* w /* or null: zeros */, int lane, double sign,
                                                 double (&x)[8]) {
#pragma unroll
  for (int row = 0; row < 8; ++row)
    x[row] = w == nullptr
                 ? 0.0
                 : sign * 0.5 * (static_cast<double>(w[8 * row + lane]) - static_cast<double>(w[8 * lane + row]));
}

struct Squarings {
  int of_matrix, of_warp;  // the warp's largest
};

// kSquarings, and for a matrix of larger 1-norm as many as bring it to 1. NaN and infinity spread as NaN.
__device__ __forceinline__ Squarings squarings(const double (&column)[8]) {
  double norm = 0;
#pragma unroll
  for (int row = 0; row < 8; ++row) norm += fabs(column[row]);
#pragma unroll
  for (int offset = 1; offset < 8; offset *= 2) norm = fmax(norm, __shfl_xor_sync(0xffffffffu, norm, offset));
  const int count = norm > static_cast<double>(1 << kSquarings) && norm < 1.7e308 ? ilogb(norm) + 1 : kSquarings;
  int largest = count;
#pragma unroll
  for (int offset = 8; offset < 32; offset *= 2) {
    const int other = __shfl_xor_sync(0xffffffffu, largest, offset);
    largest = largest < other ? other : largest;
  }
  return {count, largest};
}

__device__ __forceinline__ void scale_column(double factor, double (&x)[8]) {
#pragma unroll
  for (int row = 0; row < 8; ++row) x[row] *= factor;
}

// weight (count, 8, 8) -> rotation (count, 8, 8)
template <typename Real>
__global__ void __launch_bounds__(8 * kMatricesPerCta)
    so8_rotation(const Real* __restrict__ weight, Real* __restrict__ rotation, long long count) {
  __shared__ double matrices[kMatricesPerCta][kStride];
  const int lane = static_cast<int>(threadIdx.x) % 8, slot = static_cast<int>(threadIdx.x) / 8;
  const long long block = static_cast<long long>(blockIdx.x) * kMatricesPerCta + slot;
  double* shared = matrices[slot];
  double x[8], p[8], next[8];
  read_skew_column(block < count ? weight + 64 * block : nullptr, lane, 1.0, x);
  const Squarings steps = squarings(x);
  scale_column(ldexp(1.0, -steps.of_matrix), x);
  write_column(shared, lane, x);
  __syncwarp();
#pragma unroll
  for (int row = 0; row < 8; ++row) p[row] = row == lane ? 1.0 : 0.0;
#pragma unroll 1
  for (int k = kDegree; k >= 1; --k) {  // P_k = I + X P_{k+1} / k
    multiply(shared, p, next);
#pragma unroll
    for (int row = 0; row < 8; ++row) p[row] = (row == lane ? 1.0 : 0.0) + next[row] / k;
  }
#pragma unroll 1
  for (int i = 0; i < steps.of_warp; ++i) {
    __syncwarp();
    write_column(shared, lane, p);
    __syncwarp();
    multiply(shared, p, next);
#pragma unroll
    for (int row = 0; row < 8; ++row) p[row] = i < steps.of_matrix ? next[row] : p[row];
  }
  if (block >= count) return;
#pragma unroll
  for (int row = 0; row < 8; ++row) rotation[64 * block + 8 * row + lane] = static_cast<Real>(p[row]);
}

// dP_k = (E P_{k+1} + X dP_{k+1}) / k beside P_k = I + X P_{k+1} / k
__device__ __forceinline__ void differentiated_series(const double* x, const double* e, int lane, double (&p)[8],
                                                      double (&dp)[8]) {
  double from_e[8], next[8];
#pragma unroll
  for (int row = 0; row < 8; ++row) {
    p[row] = row == lane ? 1.0 : 0.0;
    dp[row] = 0.0;
  }
#pragma unroll 1
  for (int k = kDegree; k >= 1; --k) {
    multiply<const volatile double>(e, p, from_e);
    multiply(x, dp, next);
#pragma unroll
    for (int row = 0; row < 8; ++row) dp[row] = (from_e[row] + next[row]) / k;
    multiply(x, p, next);
#pragma unroll
    for (int row = 0; row < 8; ++row) p[row] = (row == lane ? 1.0 : 0.0) + next[row] / k;
  }
}

// dP <- P dP + dP P beside P <- P P
__device__ __forceinline__ void differentiated_squaring(double* p_shared, double* dp_shared, int lane, bool takes_part,
                                                        double (&p)[8], double (&dp)[8]) {
  double left[8], right[8];
  __syncwarp();
  write_column(p_shared, lane, p);
  write_column(dp_shared, lane, dp);
  __syncwarp();
  multiply(p_shared, dp, left);
  multiply(dp_shared, p, right);
#pragma unroll
  for (int row = 0; row < 8; ++row) dp[row] = takes_part ? left[row] + right[row] : dp[row];
  multiply(p_shared, p, left);
#pragma unroll
  for (int row = 0; row < 8; ++row) p[row] = takes_part ? left[row] : p[row];
}

// weight, rotation_gradient G (count, 8, 8) -> the skew part of the derivative of exp at Aᵀ in the direction G
template <typename Real>
__global__ void __launch_bounds__(8 * kMatricesPerCta)
    so8_rotation_backward(const Real* __restrict__ weight, const Real* __restrict__ rotation_gradient,
                          Real* __restrict__ weight_gradient, long long count) {
  __shared__ double matrices[kMatricesPerCta][2][kStride];
  const int lane = static_cast<int>(threadIdx.x) % 8, slot = static_cast<int>(threadIdx.x) / 8;
  const long long block = static_cast<long long>(blockIdx.x) * kMatricesPerCta + slot;
  double *p_shared = matrices[slot][0], *dp_shared = matrices[slot][1];
  double p[8], dp[8];
  read_skew_column(block < count ? weight + 64 * block : nullptr, lane, -1.0, p);  // Aᵀ = -A
  read_column(block < count ? rotation_gradient + 64 * block : nullptr, lane, dp);
  const Squarings steps = squarings(p);
  scale_column(ldexp(1.0, -steps.of_matrix), p);
  scale_column(ldexp(1.0, -steps.of_matrix), dp);
  write_column(p_shared, lane, p);
  write_column(dp_shared, lane, dp);
  __syncwarp();
  differentiated_series(p_shared, dp_shared, lane, p, dp);
#pragma unroll 1
  for (int i = 0; i < steps.of_warp; ++i)
    differentiated_squaring(p_shared, dp_shared, lane, i < steps.of_matrix, p, dp);
  __syncwarp();
  write_column(dp_shared, lane, dp);
  __syncwarp();
  if (block >= count) return;
#pragma unroll
  for (int row = 0; row < 8; ++row)
    weight_gradient[64 * block + 8 * row + lane] = static_cast<Real>(0.5 * (dp[row] - dp_shared[8 * lane + row]));
}

}  // namespace nkat::layers::device
