#include "core/parallel.h"

#include <atomic>
#include <stdexcept>
#include <vector>

#include <gtest/gtest.h>

namespace nkat {
namespace {

TEST(ParallelFor, DoesEachPieceOnce) {
  for (const std::size_t count : {0, 1, 2, 1000}) {
    std::vector<std::atomic<int>> times(count);
    parallel_for(count, [&](std::size_t i) { ++times[i]; });
    for (const auto& time : times) EXPECT_EQ(time, 1);
  }
}

TEST(ParallelFor, ThrowsTheFirstErrorAndBeginsNothingMore) {
  std::atomic<int> begun = 0;
  const auto work = [&](std::size_t) {
    ++begun;
    throw std::runtime_error("no");
  };
  EXPECT_THROW(parallel_for(100'000, work), std::runtime_error);
  // A piece a thread.
  EXPECT_LT(begun, 10'000);
}

}  // namespace
}  // namespace nkat
