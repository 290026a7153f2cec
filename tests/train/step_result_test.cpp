#include "train/step_result.h"

#include <bit>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/message_of.h"
#include "tests/train/distributed/rank_threads.h"

namespace nkat::train {
namespace {

using testing::message_of;

StepResult part_of_rank(int rank) {
  at::Generator generator = at::detail::createCPUGenerator(static_cast<std::uint64_t>(rank));
  StepResult part;
  part.matrix_gradients = {at::randn({5, 8, 8}, generator), at::randn({5, 8, 8}, generator)};
  part.loss_sum = 1.0 / (rank + 3);
  part.peak_bytes = rank == 1 ? 1ULL << 40 : 7;
  part.memory_changed = rank == 1;
  return part;
}

TEST(PackedIntegers, ComeBackBitByBitFromASumInFloat32) {
  const std::vector<std::vector<std::uint64_t>> integers = {
      {0, ~0ULL, std::bit_cast<std::uint64_t>(-0.1)},
      {1, 1ULL << 63, std::bit_cast<std::uint64_t>(std::nan(""))},
      {0xFFFF0000FFFF0000ULL, 3, std::bit_cast<std::uint64_t>(5e-324)}};
  at::Tensor sum = at::zeros({packed_floats(3, 3)}, at::kFloat);
  for (const int rank : {2, 0, 1}) {
    const at::Tensor message = at::zeros_like(sum);
    pack_integers(message, rank, integers[static_cast<std::size_t>(rank)]);
    sum.add_(message);
  }
  EXPECT_EQ(unpack_integers(sum, 3), integers);
}

TEST(StepResult, OfThreeRanksIsTheSumAndTheSameOnEach) {
  std::array<StepResult, 3> results;
  on_ranks(3, [&](ProcessGroup& group) {
    StepResult part = part_of_rank(group.rank());
    if (group.rank() == 2) part.nonfinite_samples = {4};
    results[static_cast<std::size_t>(group.rank())] = all_reduce(group, std::move(part), 9, 77);
  });
  for (std::size_t layer = 0; layer < 2; ++layer) {
    at::Tensor exact = at::zeros({5, 8, 8}, at::kDouble);
    for (int rank = 0; rank < 3; ++rank) exact.add_(part_of_rank(rank).matrix_gradients[layer]);
    // Two roundings of sums of at most about 10.
    EXPECT_LT((results[0].matrix_gradients[layer] - exact).abs().max().item<double>(), 2e-6);
    for (const StepResult& other : results)
      EXPECT_TRUE(at::equal(other.matrix_gradients[layer], results[0].matrix_gradients[layer]));
  }
  for (const StepResult& result : results) {
    EXPECT_EQ(result.loss_sum, 1.0 / 3 + 1.0 / 4 + 1.0 / 5);
    EXPECT_EQ(result.nonfinite_samples, (std::vector<std::int64_t>{4}));
    EXPECT_EQ(result.peak_bytes, 1ULL << 40);
    EXPECT_EQ(result.changed_ranks, (std::vector<int>{1}));
    EXPECT_FALSE(result.stop);
  }
}

TEST(StepResult, CarriesAStopAndWhatIsNotFiniteToAllRanks) {
  on_ranks(2, [&](ProcessGroup& group) {
    StepResult part = part_of_rank(group.rank());
    part.stop = group.rank() == 1;
    if (group.rank() == 0) part.matrix_gradients[0].fill_(std::nan(""));
    const StepResult all = all_reduce(group, std::move(part), 4, 77);
    EXPECT_TRUE(all.stop);
    EXPECT_TRUE(all.matrix_gradients[0].isnan().all().item<bool>());
    EXPECT_TRUE(all.matrix_gradients[1].isfinite().all().item<bool>());
    EXPECT_EQ(all.peak_bytes, 1ULL << 40);
  });
}

TEST(StepResult, OfRanksWithDifferentStatesIsRefusedOnEach) {
  on_ranks(3, [&](ProcessGroup& group) {
    const auto reduce = [&] { all_reduce(group, part_of_rank(group.rank()), 4, group.rank() == 2 ? 78 : 77); };
    EXPECT_THAT(message_of<RankMismatch>(reduce), ::testing::HasSubstr("on 1 of 3: rank 2."));
  });
}

TEST(StepResult, OfOneProcessStaysAsItIs) {
  ProcessGroup alone;
  const StepResult all = all_reduce(alone, part_of_rank(1), 4, 0);
  EXPECT_TRUE(at::equal(all.matrix_gradients[1], part_of_rank(1).matrix_gradients[1]));
  EXPECT_EQ(all.loss_sum, part_of_rank(1).loss_sum);
}

}  // namespace
}  // namespace nkat::train
