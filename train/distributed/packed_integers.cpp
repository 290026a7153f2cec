#include "train/distributed/packed_integers.h"

#include "core/error.h"

namespace nkat::train {
namespace {

constexpr int kDigits = 4;
constexpr int kBits = 16;
constexpr std::uint64_t kMask = (1ULL << kBits) - 1;

}  // namespace

std::int64_t packed_floats(int ranks, std::size_t words) {
  return static_cast<std::int64_t>(ranks) * static_cast<std::int64_t>(words) * kDigits;
}

void pack_integers(const at::Tensor& message, int rank, std::span<const std::uint64_t> words) {
  const auto slot = static_cast<std::int64_t>(words.size()) * kDigits;
  NKAT_INVARIANT((rank + 1) * slot <= message.numel());
  float* digit = message.mutable_data_ptr<float>() + rank * slot;
  for (const std::uint64_t word : words) {
    for (int i = 0; i < kDigits; ++i) *digit++ = static_cast<float>((word >> (kBits * i)) & kMask);
  }
}

std::vector<std::vector<std::uint64_t>> unpack_integers(const at::Tensor& sum, int ranks) {
  std::vector<std::vector<std::uint64_t>> words(static_cast<std::size_t>(ranks));
  const auto count = static_cast<std::size_t>(sum.numel() / (ranks * kDigits));
  const float* digit = sum.const_data_ptr<float>();
  for (auto& slot : words) {
    slot.assign(count, 0);
    for (std::uint64_t& word : slot) {
      for (int i = 0; i < kDigits; ++i) word |= static_cast<std::uint64_t>(*digit++) << (kBits * i);
    }
  }
  return words;
}

}  // namespace nkat::train
