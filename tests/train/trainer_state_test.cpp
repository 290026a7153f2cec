#include "train/trainer_state.h"

#include <ATen/ops/full.h>
#include <gtest/gtest.h>

namespace nkat::train {
namespace {

TrainerState state_of(double number, std::int64_t step) {
  TrainerState state;
  state.step = step;
  state.adapter = {.weight = at::full({2, 3, 8, 8}, number), .alpha = at::full({2}, number)};
  state.optimizer = OptimizerState::zeros_for(state.adapter);
  return state;
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
