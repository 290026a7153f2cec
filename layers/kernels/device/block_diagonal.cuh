// Device code of the block-diagonal map. One thread owns block b of 8 channels and walks over tokens with M_b in
// registers; the 32 lanes of a warp own 32 neighboring blocks, so a warp reads whole rows of 256 (bfloat16: 512 bytes)
// channels. A CTA is 32 blocks x kWarps token lanes: lane w of a chunk takes tokens w, w + kWarps, ...
#pragma once

#include "channels.cuh"

namespace nkat::layers::device {

constexpr int kBlocksPerCta = 32;
constexpr int kTokensPerChunk = 64;  // tokens one CTA walks over; fixed, so the order of every sum depends on T alone

struct Extent {
  long long tokens;  // T
  int blocks;        // N, H = 8 N
};

template <typename Accumulate>
__device__ __forceinline__ void load_matrix(const Accumulate* source, Accumulate (&m)[8][8]) {
#pragma unroll
  for (int row = 0; row < 8; ++row) Channels<Accumulate>::load(source + 8 * row, m[row]);
}

// residual, h (T, 8 N), matrices (N, 8, 8) -> out = residual + M h
template <typename Scalar, typename Accumulate, int kWarps>
__global__ void __launch_bounds__(32 * kWarps)
    add_block_diagonal(const Scalar* __restrict__ residual, const Scalar* __restrict__ h,
                       const Accumulate* __restrict__ matrices, Scalar* __restrict__ out, Extent extent) {
  const int block = static_cast<int>(blockIdx.y) * kBlocksPerCta + static_cast<int>(threadIdx.x);
  if (block >= extent.blocks) return;
  const long long first = static_cast<long long>(blockIdx.x) * kTokensPerChunk;
  const long long end = min(first + kTokensPerChunk, extent.tokens);
  Accumulate m[8][8];
  load_matrix(matrices + 64LL * block, m);
#pragma unroll 2
  for (long long token = first + threadIdx.y; token < end; token += kWarps) {
    const long long at = (token * extent.blocks + block) * 8;
    Accumulate x[8], start[8], y[8];
    Channels<Scalar>::load(h + at, x);
    Channels<Scalar>::load(residual + at, start);
#pragma unroll
    for (int row = 0; row < 8; ++row) {
      Accumulate sum = 0;
#pragma unroll
      for (int column = 0; column < 8; ++column) sum += m[row][column] * x[column];
      y[row] = start[row] + sum;
    }
    Channels<Scalar>::store(out + at, y);
  }
}

// Adds the kWarps token lanes' sums of each block in the order of the lanes: shared[lane][entry][block].
template <typename Accumulate, int kWarps>
__device__ __forceinline__ void reduce_lanes(const Accumulate (&sums)[8][8], Accumulate* partial, int block,
                                             int blocks) {
  __shared__ Accumulate shared[kWarps][64][kBlocksPerCta];
  const int lane = static_cast<int>(threadIdx.y);
#pragma unroll
  for (int entry = 0; entry < 64; ++entry) shared[lane][entry][threadIdx.x] = sums[entry / 8][entry % 8];
  __syncthreads();
  if (block >= blocks) return;
  constexpr int kShare = 64 / kWarps;  // entries that one lane adds up
#pragma unroll
  for (int entry = lane * kShare; entry < (lane + 1) * kShare; ++entry) {
    Accumulate sum = shared[0][entry][threadIdx.x];
#pragma unroll
    for (int other = 1; other < kWarps; ++other) sum += shared[other][entry][threadIdx.x];
    partial[64LL * block + entry] = sum;
  }
}

template <typename Scalar, typename Accumulate>
struct BackwardArguments {
  const Scalar* gradient;      // dy (T, 8 N)
  const Scalar* h;             // (T, 8 N)
  const Accumulate* matrices;  // M (N, 8, 8)
  Scalar* h_gradient;          // dh (T, 8 N)
  Accumulate* partials;        // (chunks, N, 8, 8)
  Extent extent;
};

// dh = Mᵀ dy, and each chunk's share of dM = Σ_t dy hᵀ, in one pass over dy.
template <typename Scalar, typename Accumulate, int kWarps, bool kNeedsH, bool kNeedsMatrices>
__global__ void __launch_bounds__(32 * kWarps)
    block_diagonal_backward(BackwardArguments<Scalar, Accumulate> arguments) {
  const Extent extent = arguments.extent;
  const int block = static_cast<int>(blockIdx.y) * kBlocksPerCta + static_cast<int>(threadIdx.x);
  const long long first = static_cast<long long>(blockIdx.x) * kTokensPerChunk;
  const long long end = block < extent.blocks ? min(first + kTokensPerChunk, extent.tokens) : first;
  Accumulate m[8][8], sums[8][8] = {};
  if (kNeedsH && block < extent.blocks) load_matrix(arguments.matrices + 64LL * block, m);
  for (long long token = first + threadIdx.y; token < end; token += kWarps) {
    const long long at = (token * extent.blocks + block) * 8;
    Accumulate dy[8];
    Channels<Scalar>::load(arguments.gradient + at, dy);
    if constexpr (kNeedsMatrices) {
      Accumulate x[8];
      Channels<Scalar>::load(arguments.h + at, x);
#pragma unroll
      for (int entry = 0; entry < 64; ++entry) sums[entry / 8][entry % 8] += dy[entry / 8] * x[entry % 8];
    }
    if constexpr (kNeedsH) {
      Accumulate dh[8] = {};
#pragma unroll
      for (int entry = 0; entry < 64; ++entry) dh[entry % 8] += m[entry / 8][entry % 8] * dy[entry / 8];
      Channels<Scalar>::store(arguments.h_gradient + at, dh);
    }
  }
  if constexpr (kNeedsMatrices) {
    Accumulate* partial = arguments.partials + 64LL * extent.blocks * static_cast<long long>(blockIdx.x);
    reduce_lanes<Accumulate, kWarps>(sums, partial, block, extent.blocks);
  }
}

// partials (chunks, entries) -> out (entries), summed in the order of the chunks.
template <typename Accumulate>
__global__ void add_chunks(const Accumulate* __restrict__ partials, Accumulate* __restrict__ out, long long chunks,
                           long long entries) {
  const long long entry = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (entry >= entries) return;
  Accumulate sum = partials[entry];
  for (long long chunk = 1; chunk < chunks; ++chunk) sum += partials[chunk * entries + entry];
  out[entry] = sum;
}

}  // namespace nkat::layers::device
