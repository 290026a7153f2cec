#include "train/step_result.h"

#include <bit>

#include "core/error.h"

namespace nkat::train {
namespace {

// Of an integer in the message: float32 holds 16 bits exactly, also in a sum with zeros.
constexpr int kDigits = 4;
constexpr int kBits = 16;
constexpr std::uint64_t kMask = (1ULL << kBits) - 1;

// The integers of a rank in the message, in this order.
enum Integer : std::size_t { kState, kLoss, kStop, kPeak, kMemory, kIntegers };

std::vector<std::uint64_t> column(const std::vector<std::vector<std::uint64_t>>& integers, Integer which) {
  std::vector<std::uint64_t> values;
  for (const auto& of_rank : integers) values.push_back(of_rank[which]);
  return values;
}

at::Tensor nonfinite_flags(const std::vector<std::int64_t>& samples, std::int64_t batch_samples) {
  at::Tensor flags = at::zeros({batch_samples}, at::kFloat);
  for (const std::int64_t index : samples) flags.mutable_data_ptr<float>()[index] = 1.0F;
  return flags;
}

at::Tensor make_message(const ProcessGroup& group, const StepResult& mine, std::int64_t batch_samples,
                        std::uint64_t state) {
  const at::Tensor integers = at::zeros({packed_floats(group.size(), kIntegers)}, at::kFloat);
  pack_integers(
      integers, group.rank(),
      std::array<std::uint64_t, kIntegers>{state, std::bit_cast<std::uint64_t>(mine.loss_sum), mine.stop ? 1ULL : 0ULL,
                                           mine.peak_bytes, mine.memory_changed ? 1ULL : 0ULL});
  std::vector<at::Tensor> parts;
  for (const at::Tensor& gradient : mine.matrix_gradients) parts.push_back(gradient.flatten());
  parts.push_back(
      at::cat({nonfinite_flags(mine.nonfinite_samples, batch_samples), integers}).to(parts.front().device()));
  return at::cat(parts);
}

}  // namespace

StepResult all_reduce(ProcessGroup& group, StepResult mine, std::int64_t batch_samples, std::uint64_t state) {
  if (group.size() == 1) return mine;
  const at::Tensor message = make_message(group, mine, batch_samples, state);
  group.all_reduce(message);

  StepResult all;
  std::int64_t begin = 0;
  for (const at::Tensor& gradient : mine.matrix_gradients) {
    all.matrix_gradients.push_back(message.narrow(0, begin, gradient.numel()).view(gradient.sizes()));
    begin += gradient.numel();
  }
  const at::Tensor rest = message.narrow(0, begin, message.numel() - begin).cpu();
  const float* flag = rest.const_data_ptr<float>();
  for (std::int64_t index = 0; index < batch_samples; ++index) {
    if (flag[index] != 0.0F) all.nonfinite_samples.push_back(index);
  }
  const auto integers = unpack_integers(rest.narrow(0, batch_samples, rest.numel() - batch_samples), group.size());
  check_consistent(column(integers, kState), "the state that this step began with");
  for (std::size_t rank = 0; rank < integers.size(); ++rank) {
    const auto& of_rank = integers[rank];
    all.loss_sum += std::bit_cast<double>(of_rank[kLoss]);
    all.stop = all.stop || of_rank[kStop] != 0;
    all.peak_bytes = std::max(all.peak_bytes, of_rank[kPeak]);
    if (of_rank[kMemory] != 0) all.changed_ranks.push_back(static_cast<int>(rank));
  }
  return all;
}

void check_consistent(const std::vector<std::uint64_t>& digests, const std::string& what) {
  std::vector<std::size_t> others;
  for (std::size_t rank = 0; rank < digests.size(); ++rank) {
    if (digests[rank] != digests.front()) others.push_back(rank);
  }
  if (others.empty()) return;
  throw RankMismatch(
      fmt::format("{} must be the same on all ranks; it differs from rank 0's on {} of {}: rank {}. Start all ranks "
                  "with one program, options, data and model, on machines of one kind; the same command goes on from "
                  "the newest checkpoint",
                  what, others.size(), digests.size(), fmt::join(others, ", ")));
}

std::int64_t packed_floats(int ranks, std::size_t integers) {
  return static_cast<std::int64_t>(ranks) * static_cast<std::int64_t>(integers) * kDigits;
}

void pack_integers(const at::Tensor& message, int rank, std::span<const std::uint64_t> integers) {
  const std::int64_t slot = packed_floats(1, integers.size());
  NKAT_INVARIANT((rank + 1) * slot <= message.numel());
  float* digit = message.mutable_data_ptr<float>() + rank * slot;
  for (const std::uint64_t integer : integers) {
    for (int i = 0; i < kDigits; ++i) *digit++ = static_cast<float>((integer >> (kBits * i)) & kMask);
  }
}

std::vector<std::vector<std::uint64_t>> unpack_integers(const at::Tensor& sum, int ranks) {
  std::vector<std::vector<std::uint64_t>> integers(static_cast<std::size_t>(ranks));
  const auto count = static_cast<std::size_t>(sum.numel() / (ranks * kDigits));
  const float* digit = sum.const_data_ptr<float>();
  for (auto& slot : integers) {
    slot.assign(count, 0);
    for (std::uint64_t& integer : slot) {
      for (int i = 0; i < kDigits; ++i) integer |= static_cast<std::uint64_t>(*digit++) << (kBits * i);
    }
  }
  return integers;
}

}  // namespace nkat::train
