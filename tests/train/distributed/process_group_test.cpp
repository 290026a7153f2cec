#include "train/distributed/process_group.h"

#include <bit>

#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include "tests/train/distributed/rank_threads.h"

namespace nkat::train {
namespace {

TEST(ProcessGroup, BroadcastsAndGathersStrings) {
  on_ranks(3, [](ProcessGroup& group) {
    const std::string mine = "rank " + std::to_string(group.rank());
    EXPECT_EQ(group.broadcast(mine), "rank 0");
    EXPECT_EQ(group.all_gather(mine), (std::vector<std::string>{"rank 0", "rank 1", "rank 2"}));
    EXPECT_EQ(group.broadcast(""), "");
    EXPECT_EQ(group.is_main(), group.rank() == 0);
  });
}

TEST(ProcessGroup, WaitsForRankZeroForAsLongAsItIsBusy) {
  on_ranks(3, [](ProcessGroup& group) {
    if (group.is_main()) std::this_thread::sleep_for(std::chrono::milliseconds(200));
    EXPECT_EQ(group.await_main(group.is_main() ? "done" : "not mine"), "done");
    EXPECT_EQ(group.await_main(""), "");
    EXPECT_EQ(group.broadcast("rank " + std::to_string(group.rank())), "rank 0");
  });
}

TEST(ProcessGroup, SumsAndBroadcastsTensors) {
  on_ranks(3, [](ProcessGroup& group) {
    const at::Tensor sum = at::full({5}, group.rank() + 1.0, at::kFloat);
    group.all_reduce(sum);
    EXPECT_TRUE(sum.eq(6.0).all().item<bool>());
    const at::Tensor first = at::full({2, 3}, group.rank() == 0 ? -0.5 : 7.0, at::kFloat);
    group.broadcast(first);
    EXPECT_TRUE(first.eq(-0.5).all().item<bool>());
  });
}

TEST(ProcessGroup, GathersIntegersBitByBit) {
  on_ranks(3, [](ProcessGroup& group) {
    const auto rank = static_cast<std::uint64_t>(group.rank());
    const auto all = group.all_gather_integers({rank, ~rank, std::bit_cast<std::uint64_t>(std::nan(""))});
    ASSERT_EQ(all.size(), 3U);
    for (std::uint64_t i = 0; i < 3; ++i)
      EXPECT_EQ(all[i], (std::vector<std::uint64_t>{i, ~i, std::bit_cast<std::uint64_t>(std::nan(""))}));
  });
}

TEST(ProcessGroup, OfOneProcessAnswersAtOnce) {
  ProcessGroup alone;
  alone.open(at::kCPU);
  EXPECT_EQ(alone.broadcast("text"), "text");
  EXPECT_EQ(alone.await_main("text"), "text");
  EXPECT_EQ(alone.all_gather("text"), std::vector<std::string>{"text"});
  EXPECT_EQ(alone.all_gather_integers({4, 5}), (std::vector<std::vector<std::uint64_t>>{{4, 5}}));
  const at::Tensor message = at::full({2}, 3.0, at::kFloat);
  alone.all_reduce(message);
  EXPECT_TRUE(message.eq(3.0).all().item<bool>());
  alone.shutdown();
}

}  // namespace
}  // namespace nkat::train
