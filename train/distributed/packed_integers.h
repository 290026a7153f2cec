// 64-bit words of every rank inside a message that is summed in float32, with no bit lost: each rank writes into a slot
// of its own, as four digits of 16 bits (exact in float32), and leaves the other slots 0.
//
// Shapes: a message of W words for K ranks has K·W·4 floats, slot by slot.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <ATen/core/Tensor.h>

namespace nkat::train {

std::int64_t packed_floats(int ranks, std::size_t words);
// Fills `message`, which is all 0, with this rank's slot. message: contiguous float32 on the CPU.
void pack_integers(const at::Tensor& message, int rank, std::span<const std::uint64_t> words);
// By rank, from the sum of all ranks' messages.
std::vector<std::vector<std::uint64_t>> unpack_integers(const at::Tensor& sum, int ranks);

}  // namespace nkat::train
