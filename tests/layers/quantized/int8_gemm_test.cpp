#include "layers/quantized/int8_gemm.h"

#include <ATen/ops/_int_mm.h>
#include <ATen/ops/randint.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"

namespace nkat::layers {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

at::Tensor random_int8(at::IntArrayRef shape) { return at::randint(-127, 128, shape, at::kChar); }

// Against int64, whose products ATen takes one by one.
at::Tensor exact_sums(const at::Tensor& left, const at::Tensor& right) {
  return left.to(at::kLong).mm(right.to(at::kLong));
}

// Random values, and the largest: a sum of 2,056 products of 127 x 127 is no float32.
TEST(Int8Gemm, AreExactOnThisProcessorAndInFloat32) {
  for (const std::int64_t depth : {8, 1024, 1032, 2056}) {
    for (const std::int64_t rows : {1, 33}) {
      for (const auto& [left, right] :
           {std::pair{random_int8({rows, depth}), random_int8({40, depth})},
            {at::full({rows, depth}, 127, at::kChar), at::full({40, depth}, -127, at::kChar)},
            {at::full({rows, depth}, -128, at::kChar), at::full({40, depth}, -128, at::kChar)}}) {
        const at::Tensor exact = exact_sums(left, right.t());
        EXPECT_TRUE(at::equal(int8_gemm(left, right.t()).to(at::kLong), exact)) << rows << " x " << depth;
        for (const at::Tensor& other : {right.t(), right.t().contiguous()})
          EXPECT_TRUE(at::equal(plain::int8_gemm(left, other).to(at::kLong), exact)) << rows << " x " << depth;
      }
    }
  }
}

// ctest runs this a second time with oneDNN held to AVX2, where it saturates.
TEST(Int8Gemm, TheProbeTellsWhetherLibTorchsOwnProductIsExact) {
  const at::Tensor left = random_int8({33, 512}).abs(), right = random_int8({64, 512}).t();
  const bool exact = at::equal(at::_int_mm(left, right).to(at::kLong), exact_sums(left, right));
  EXPECT_EQ(exact, !int8_gemm_saturates());
}

TEST(Int8Gemm, IsTakenInFloatWhereOneDnnSaturates) { EXPECT_TRUE(int8_gemm_in_float() || !int8_gemm_saturates()); }

// sm_86 has no tensor-core kernel for it; refused on the CPU too, so that a test shows the mistake.
TEST(Int8Gemm, RefusesARowMajorRightSide) {
  EXPECT_THAT(
      [] {
        int8_gemm(random_int8({33, 16}), random_int8({16, 8}));
      },
      ThrowsMessage<ShapeError>(HasSubstr("column-major")));
  EXPECT_NO_THROW(int8_gemm(random_int8({33, 16}), random_int8({8, 16}).t()));
}

TEST(Int8Gemm, NamesSidesThatDoNotMeet) {
  EXPECT_THAT(
      [] {
        int8_gemm(random_int8({3, 8}), random_int8({16, 8}));
      },
      ThrowsMessage<ShapeError>(HasSubstr("(K=8, C)")));
}

}  // namespace
}  // namespace nkat::layers
