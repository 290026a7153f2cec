#include "train/step_result.h"

#include <bit>

#include "train/distributed/packed_integers.h"

namespace nkat::train {
namespace {

// The words of a rank in the message, in this order.
enum Word : std::size_t { kState, kLoss, kStop, kPeak, kMemory, kWords };

std::vector<std::uint64_t> column(const std::vector<std::vector<std::uint64_t>>& words, Word which) {
  std::vector<std::uint64_t> values;
  for (const auto& of_rank : words) values.push_back(of_rank[which]);
  return values;
}

at::Tensor suspect_flags(const std::vector<std::int64_t>& suspects, std::int64_t window_samples) {
  at::Tensor flags = at::zeros({window_samples}, at::kFloat);
  for (const std::int64_t place : suspects) flags.mutable_data_ptr<float>()[place] = 1.0F;
  return flags;
}

at::Tensor make_message(const ProcessGroup& ranks, const StepResult& mine, std::int64_t window_samples,
                        std::uint64_t state) {
  const at::Tensor words = at::zeros({packed_floats(ranks.size(), kWords)}, at::kFloat);
  pack_integers(
      words, ranks.rank(),
      std::array<std::uint64_t, kWords>{state, std::bit_cast<std::uint64_t>(mine.loss_sum), mine.stop ? 1ULL : 0ULL,
                                        mine.peak_bytes, mine.memory_changed ? 1ULL : 0ULL});
  std::vector<at::Tensor> parts;
  for (const at::Tensor& gradient : mine.block_gradients) parts.push_back(gradient.flatten());
  parts.push_back(at::cat({suspect_flags(mine.suspects, window_samples), words}).to(parts.front().device()));
  return at::cat(parts);
}

}  // namespace

StepResult all_reduce(ProcessGroup& ranks, StepResult mine, std::int64_t window_samples, std::uint64_t state) {
  if (ranks.size() == 1) return mine;
  const at::Tensor message = make_message(ranks, mine, window_samples, state);
  ranks.sum(message);

  StepResult all;
  std::int64_t begin = 0;
  for (const at::Tensor& gradient : mine.block_gradients) {
    all.block_gradients.push_back(message.narrow(0, begin, gradient.numel()).view(gradient.sizes()));
    begin += gradient.numel();
  }
  const at::Tensor rest = message.narrow(0, begin, message.numel() - begin).cpu();
  const float* flag = rest.const_data_ptr<float>();
  for (std::int64_t place = 0; place < window_samples; ++place) {
    if (flag[place] != 0.0F) all.suspects.push_back(place);
  }
  const auto words = unpack_integers(rest.narrow(0, window_samples, rest.numel() - window_samples), ranks.size());
  check_consistent(column(words, kState), "the state that this step began with");
  for (const auto& of_rank : words) {
    all.loss_sum += std::bit_cast<double>(of_rank[kLoss]);
    all.stop = all.stop || of_rank[kStop] != 0;
    all.peak_bytes = std::max(all.peak_bytes, of_rank[kPeak]);
  }
  for (int rank = 0; rank < ranks.size(); ++rank) {
    if (words[static_cast<std::size_t>(rank)][kMemory] != 0) all.changed_ranks.push_back(rank);
  }
  return all;
}

void check_consistent(const std::vector<std::uint64_t>& words, const std::string& what) {
  std::vector<std::size_t> others;
  for (std::size_t rank = 0; rank < words.size(); ++rank) {
    if (words[rank] != words.front()) others.push_back(rank);
  }
  if (others.empty()) return;
  throw RankMismatch(
      fmt::format("{} must be the same on all ranks; it differs from rank 0's on {} of {}: rank {}. Start all ranks "
                  "with one program, options, data and model, on machines of one kind; the same command goes on from "
                  "the newest checkpoint",
                  what, others.size(), words.size(), fmt::join(others, ", ")));
}

}  // namespace nkat::train
