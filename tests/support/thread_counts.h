// Holds a CPU loop to its promise that the number of threads changes no bit.
#pragma once

#include <functional>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>

namespace nkat::testing {

// Tensors that run() gives with one thread, and again with two and three; then the number is what it was.
inline void expect_same_bits_for_any_thread_count(const std::function<std::vector<at::Tensor>()>& run) {
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  const std::vector<at::Tensor> expected = run();
  for (const int threads : {2, 3}) {
    at::set_num_threads(threads);
    const std::vector<at::Tensor> found = run();
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t i = 0; i < found.size(); ++i)
      EXPECT_TRUE(at::equal(found[i], expected[i])) << "tensor " << i << " with " << threads << " threads";
  }
  at::set_num_threads(before);
}

}  // namespace nkat::testing
