#include "train/distributed/process_group.h"

#include <bit>

#include <ATen/core/Tensor.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/message_of.h"
#include "tests/train/distributed/rank_threads.h"
#include "train/distributed/packed_integers.h"
#include "train/distributed/setup.h"
#include "train/step_result.h"

namespace nkat::train {
namespace {

using ::testing::HasSubstr;

StepResult part_of_rank(int rank) {
  at::Generator generator = at::detail::createCPUGenerator(static_cast<std::uint64_t>(rank));
  StepResult part;
  part.block_gradients = {at::randn({5, 8, 8}, generator), at::randn({5, 8, 8}, generator)};
  part.loss_sum = 1.0 / (rank + 3);
  part.peak_bytes = rank == 1 ? 1ULL << 40 : 7;
  part.memory_changed = rank == 1;
  return part;
}

TEST(RankWords, ComeBackBitByBitFromASumInFloat32) {
  const std::vector<std::vector<std::uint64_t>> words = {
      {0, ~0ULL, std::bit_cast<std::uint64_t>(-0.1)},
      {1, 1ULL << 63, std::bit_cast<std::uint64_t>(std::nan(""))},
      {0xFFFF0000FFFF0000ULL, 3, std::bit_cast<std::uint64_t>(5e-324)}};
  at::Tensor sum = at::zeros({packed_floats(3, 3)}, at::kFloat);
  for (const int rank : {2, 0, 1}) {
    const at::Tensor message = at::zeros_like(sum);
    pack_integers(message, rank, words[static_cast<std::size_t>(rank)]);
    sum.add_(message);
  }
  EXPECT_EQ(unpack_integers(sum, 3), words);
}

TEST(StepResult, OfThreeRanksIsTheSumAndTheSameOnEach) {
  std::array<StepResult, 3> results;
  on_ranks(3, [&](ProcessGroup& ranks) {
    StepResult part = part_of_rank(ranks.rank());
    if (ranks.rank() == 2) part.suspects = {4};
    results[static_cast<std::size_t>(ranks.rank())] = all_reduce(ranks, std::move(part), 9, 77);
  });
  for (std::size_t layer = 0; layer < 2; ++layer) {
    at::Tensor exact = at::zeros({5, 8, 8}, at::kDouble);
    for (int rank = 0; rank < 3; ++rank) exact.add_(part_of_rank(rank).block_gradients[layer]);
    // Two roundings of sums of at most about 10.
    EXPECT_LT((results[0].block_gradients[layer] - exact).abs().max().item<double>(), 2e-6);
    for (const StepResult& other : results)
      EXPECT_TRUE(at::equal(other.block_gradients[layer], results[0].block_gradients[layer]));
  }
  for (const StepResult& result : results) {
    EXPECT_EQ(result.loss_sum, 1.0 / 3 + 1.0 / 4 + 1.0 / 5);
    EXPECT_EQ(result.suspects, (std::vector<std::int64_t>{4}));
    EXPECT_EQ(result.peak_bytes, 1ULL << 40);
    EXPECT_EQ(result.changed_ranks, (std::vector<int>{1}));
    EXPECT_FALSE(result.stop);
  }
}

TEST(StepResult, CarriesAStopAndWhatIsNotFiniteToAllRanks) {
  on_ranks(2, [&](ProcessGroup& ranks) {
    StepResult part = part_of_rank(ranks.rank());
    part.stop = ranks.rank() == 1;
    if (ranks.rank() == 0) part.block_gradients[0].fill_(std::nan(""));
    const StepResult all = all_reduce(ranks, std::move(part), 4, 77);
    EXPECT_TRUE(all.stop);
    EXPECT_TRUE(all.block_gradients[0].isnan().all().item<bool>());
    EXPECT_TRUE(all.block_gradients[1].isfinite().all().item<bool>());
    EXPECT_EQ(all.peak_bytes, 1ULL << 40);
  });
}

TEST(StepResult, OfRanksWithDifferentStatesIsRefusedOnEach) {
  on_ranks(3, [&](ProcessGroup& ranks) {
    EXPECT_THAT(nkat::testing::message_of<RankMismatch>(
                    [&] { all_reduce(ranks, part_of_rank(ranks.rank()), 4, ranks.rank() == 2 ? 78 : 77); }),
                HasSubstr("on 1 of 3: rank 2."))
        << "rank " << ranks.rank();
  });
}

TEST(StepResult, OfOneProcessStaysAsItIs) {
  ProcessGroup alone;
  const StepResult all = all_reduce(alone, part_of_rank(1), 4, 0);
  EXPECT_TRUE(at::equal(all.block_gradients[1], part_of_rank(1).block_gradients[1]));
  EXPECT_EQ(all.loss_sum, part_of_rank(1).loss_sum);
}

TrainerState state_of(double number, std::int64_t step) {
  TrainerState state;
  state.step = step;
  state.adapter = {.weight = at::full({2, 3, 8, 8}, number), .alpha = at::full({2}, number)};
  state.optimizer = OptimizerState::zeros_for(state.adapter);
  return state;
}

TEST(ProcessGroup, GoOnFromTheStateOfRankZero) {
  on_ranks(2, [](ProcessGroup& ranks) {
    TrainerState state = state_of(ranks.rank() == 0 ? -0.0 : 2.0, ranks.rank() == 0 ? 12 : 0);
    if (ranks.rank() == 0) {
      state.optimizer.updates = 11;
      state.pending = StepMetrics{.step = 12, .loss = 0.1, .alpha = {1.0, 2.0}, .gate_force = {0.0, 0.0}};
    }
    broadcast_state(ranks, state);
    EXPECT_EQ(state.step, 12);
    EXPECT_EQ(state.optimizer.updates, 11);
    ASSERT_TRUE(state.pending);
    EXPECT_EQ(state.pending->loss, 0.1);
    TrainerState expected = state_of(-0.0, 12);
    expected.optimizer.updates = 11;
    EXPECT_EQ(state_digest(state), state_digest(expected));
  });
}

TEST(StateDigest, ChangesWithEachNumber) {
  const std::uint64_t before = state_digest(state_of(1.0, 3));
  EXPECT_EQ(before, state_digest(state_of(1.0, 3)));
  EXPECT_NE(before, state_digest(state_of(1.0, 4)));
  TrainerState state = state_of(1.0, 3);
  state.optimizer.second_moment.alpha[1].fill_(1e-30);
  EXPECT_NE(before, state_digest(state));
}

}  // namespace
}  // namespace nkat::train
