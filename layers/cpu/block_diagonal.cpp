#include <concepts>
#include <cstring>

#include <ATen/Parallel.h>

#include "layers/cpu/loops.h"
#include "layers/cpu/simd.h"

namespace nkat::layers::cpu {
namespace {

// The 8 channels of a block as one vector type of the compiler; passed by reference, to depend on no calling
// convention.
template <std::floating_point Sum>
struct LanesOf {
  typedef Sum type __attribute__((vector_size(8 * sizeof(Sum))));
};
template <typename Sum>
using Lanes = typename LanesOf<Sum>::type;
typedef std::uint16_t Halves __attribute__((vector_size(16)));
typedef std::uint32_t Words __attribute__((vector_size(32)));

// A forward tile's matrices and rows stay in the cache; a backward tile has the CUDA kernels' chunk of tokens and one
// cache line of bfloat16.
constexpr std::int64_t kForwardTokens = 16, kForwardBlocks = 16;
constexpr std::int64_t kBackwardTokens = 64, kBackwardBlocks = 4;

template <std::floating_point Scalar>
NKAT_INLINED void load(const Scalar* source, Lanes<Scalar>& x) {
  std::memcpy(&x, source, sizeof(x));
}

template <std::floating_point Scalar>
NKAT_INLINED void store(const Lanes<Scalar>& x, Scalar* target) {
  std::memcpy(target, &x, sizeof(x));
}

// bfloat16 is the upper half of a float32.
NKAT_INLINED void load(const at::BFloat16* source, Lanes<float>& x) {
  Halves halves;
  std::memcpy(&halves, source, sizeof(halves));
  const Words words = __builtin_convertvector(halves, Words) << 16;
  std::memcpy(&x, &words, sizeof(x));
}

// Rounds to nearest even; a NaN becomes the quiet one.
NKAT_INLINED void store(const Lanes<float>& x, at::BFloat16* target) {
  Words words;
  std::memcpy(&words, &x, sizeof(words));
  const Words rounded = (words + 0x7fffu + ((words >> 16) & 1u)) >> 16;
  const Words not_a_number = (words & 0x7fffffffu) > 0x7f800000u;
  const Words chosen = (not_a_number & 0x7fc0u) | (~not_a_number & rounded);
  const Halves halves = __builtin_convertvector(chosen, Halves);
  std::memcpy(target, &halves, sizeof(halves));
}

// sum += the 8 rows of matrix, each times its entry of x: matrixᵀ x.
template <typename Sum>
NKAT_INLINED void add_transposed_product(const Sum* matrix, const Lanes<Sum>& x, Lanes<Sum>& sum) {
  for (int row = 0; row < 8; ++row) {
    Lanes<Sum> entries;
    load(matrix + 8 * row, entries);
    sum += entries * x[row];
  }
}

template <typename Scalar, typename Sum = SumOf<Scalar>>
struct Forward {
  const Scalar* residual;
  const Scalar* h;
  const Sum* transposed;  // (N, 8, 8), M_bᵀ
  Scalar* out;
  std::int64_t tokens, blocks;
};

template <typename Scalar, typename Sum>
NKAT_INLINED void forward_tiles(const Forward<Scalar, Sum>& run, std::int64_t begin, std::int64_t end) {
  for (std::int64_t tile = begin; tile < end; ++tile) {
    const std::int64_t first = tile * kForwardTokens, last = std::min(first + kForwardTokens, run.tokens);
    for (std::int64_t group = 0; group < run.blocks; group += kForwardBlocks) {
      const std::int64_t group_end = std::min(group + kForwardBlocks, run.blocks);
      for (std::int64_t token = first; token < last; ++token)
        for (std::int64_t block = group; block < group_end; ++block) {
          const std::int64_t at = (token * run.blocks + block) * 8;
          Lanes<Sum> x, start, sum = {};
          load(run.h + at, x);
          load(run.residual + at, start);
          add_transposed_product(run.transposed + 64 * block, x, sum);
          sum += start;
          store(sum, run.out + at);
        }
    }
  }
}

template <typename Scalar, typename Sum = SumOf<Scalar>>
struct Backward {
  const Scalar* gradient;
  const Scalar* h;         // null where matrices_gradient is
  const Sum* matrices;     // (N, 8, 8)
  Scalar* h_gradient;      // or null
  Sum* matrices_gradient;  // (N, 8, 8), zero at the start, or null
  std::int64_t tokens, blocks;
};

// The rows of one tile, widened and side by side: [token][block][channel].
template <typename Sum>
struct Tile {
  alignas(64) Sum gradient[kBackwardTokens * kBackwardBlocks * 8];
  alignas(64) Sum h[kBackwardTokens * kBackwardBlocks * 8];
};

// One block's sum over a tile's tokens, in their order, kept in registers.
template <typename Sum>
NKAT_INLINED void add_outer_products(const Tile<Sum>& tile, std::int64_t block, std::int64_t tokens, Sum* total) {
  Lanes<Sum> sums[8] = {};
  for (std::int64_t token = 0; token < tokens; ++token) {
    const std::int64_t at = (token * kBackwardBlocks + block) * 8;
    Lanes<Sum> x;
    load(tile.h + at, x);
    for (int row = 0; row < 8; ++row) sums[row] += x * tile.gradient[at + row];
  }
  for (int row = 0; row < 8; ++row) {
    Lanes<Sum> before;
    load(total + 8 * row, before);
    before += sums[row];
    store(before, total + 8 * row);
  }
}

// Fills the tile with tokens [first, last) of the blocks [group, group_end) and writes their dh on the way.
template <typename Scalar, typename Sum>
NKAT_INLINED void read_tile(const Backward<Scalar, Sum>& run, const std::int64_t (&tokens)[2],
                            const std::int64_t (&group)[2], Tile<Sum>& tile) {
  for (std::int64_t token = tokens[0]; token < tokens[1]; ++token)
    for (std::int64_t block = group[0]; block < group[1]; ++block) {
      const std::int64_t at = (token * run.blocks + block) * 8;
      const std::int64_t slot = ((token - tokens[0]) * kBackwardBlocks + block - group[0]) * 8;
      Lanes<Sum> dy;
      load(run.gradient + at, dy);
      if (run.h_gradient != nullptr) {
        Lanes<Sum> dh = {};
        add_transposed_product(run.matrices + 64 * block, dy, dh);
        store(dh, run.h_gradient + at);
      }
      if (run.matrices_gradient != nullptr) {
        Lanes<Sum> x;
        load(run.h + at, x);
        store(dy, tile.gradient + slot);
        store(x, tile.h + slot);
      }
    }
}

template <typename Scalar, typename Sum>
NKAT_INLINED void backward_groups(const Backward<Scalar, Sum>& run, std::int64_t begin, std::int64_t end) {
  Tile<Sum> tile;
  for (std::int64_t index = begin; index < end; ++index) {
    const std::int64_t group[2] = {index * kBackwardBlocks, std::min((index + 1) * kBackwardBlocks, run.blocks)};
    for (std::int64_t first = 0; first < run.tokens; first += kBackwardTokens) {
      const std::int64_t tokens[2] = {first, std::min(first + kBackwardTokens, run.tokens)};
      read_tile(run, tokens, group, tile);
      if (run.matrices_gradient == nullptr) continue;
      for (std::int64_t block = group[0]; block < group[1]; ++block)
        add_outer_products(tile, block - group[0], tokens[1] - tokens[0], run.matrices_gradient + 64 * block);
    }
  }
}

NKAT_VECTORIZED_LOOP(forward, forward_tiles, Forward)
NKAT_VECTORIZED_LOOP(backward, backward_groups, Backward)

template <typename Value>
const Value* read(const at::Tensor& tensor) {
  return tensor.defined() ? tensor.const_data_ptr<Value>() : nullptr;
}

template <typename Value>
Value* write(const at::Tensor& tensor) {
  return tensor.defined() ? tensor.mutable_data_ptr<Value>() : nullptr;
}

std::int64_t tiles_of(std::int64_t size, std::int64_t tile) { return (size + tile - 1) / tile; }

}  // namespace

void add_block_diagonal(const at::Tensor& residual, const at::Tensor& h, const at::Tensor& matrices,
                        const at::Tensor& out) {
  const at::Tensor transposed = matrices.transpose(1, 2).contiguous();  // (N, 8, 8)
  with_type(h.scalar_type(), [&]<typename Scalar, typename Sum>(Scalar, Sum) {
    const Forward<Scalar, Sum> run{.residual = read<Scalar>(residual),
                                   .h = read<Scalar>(h),
                                   .transposed = read<Sum>(transposed),
                                   .out = write<Scalar>(out),
                                   .tokens = h.size(0),
                                   .blocks = matrices.size(0)};
    at::parallel_for(0, tiles_of(run.tokens, kForwardTokens), 1,
                     [&](std::int64_t begin, std::int64_t end) { forward(run, begin, end); });
  });
}

void block_diagonal_backward(const BlockDiagonalBackward& tensors) {
  if (tensors.matrices_gradient.defined()) tensors.matrices_gradient.zero_();
  with_type(tensors.gradient.scalar_type(), [&]<typename Scalar, typename Sum>(Scalar, Sum) {
    const Backward<Scalar, Sum> run{.gradient = read<Scalar>(tensors.gradient),
                                    .h = read<Scalar>(tensors.h),
                                    .matrices = read<Sum>(tensors.matrices),
                                    .h_gradient = write<Scalar>(tensors.h_gradient),
                                    .matrices_gradient = write<Sum>(tensors.matrices_gradient),
                                    .tokens = tensors.gradient.size(0),
                                    .blocks = tensors.matrices.size(0)};
    at::parallel_for(0, tiles_of(run.blocks, kBackwardBlocks), 4,
                     [&](std::int64_t begin, std::int64_t end) { backward(run, begin, end); });
  });
}

}  // namespace nkat::layers::cpu
