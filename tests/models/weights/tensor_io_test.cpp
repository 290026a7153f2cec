#include "models/weights/tensor_io.h"

#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/message_of.h"
#include "tests/support/temporary_folder.h"

namespace nkat::models {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity(), kNan = std::numeric_limits<double>::quiet_NaN();

class FiniteValues : public ::testing::TestWithParam<at::ScalarType> {};

TEST_P(FiniteValues, AreAllButNanAndInfinityOfEitherSign) {
  const at::Tensor values = at::tensor({kInfinity, 1.0, -kInfinity, kNan, 0.0, -kNan, 60000.0, -1e-7}).to(GetParam());
  EXPECT_EQ(count_nonfinite(values), 4);
}

TEST_P(FiniteValues, MayHaveTheLargestAndSmallestMagnitudes) {
  const at::ScalarType type = GetParam();
  const double largest = type == at::kHalf ? 65504 : 3.38e38;
  EXPECT_EQ(count_nonfinite(at::tensor({largest, -largest, 6e-8, -6e-8, 0.0}).to(type)), 0);
}

// Some in the first piece of a thread, some at the end of the last.
TEST_P(FiniteValues, AreCountedOverAllThreads) {
  at::Tensor values = at::zeros({(5 << 20) + 3}, GetParam());
  values.narrow(0, 7, 2).fill_(kNan);
  values.narrow(0, values.numel() - 1, 1).fill_(-kInfinity);
  EXPECT_EQ(count_nonfinite(values), 3);
  EXPECT_EQ(count_nonfinite(values.narrow(0, 9, values.numel() - 10)), 0);
}

INSTANTIATE_TEST_SUITE_P(Types, FiniteValues, ::testing::Values(at::kBFloat16, at::kHalf, at::kFloat, at::kDouble));

TEST(ReadFloat32, GivesWhatWasWrittenAndNamesWhatIsMissingOrOfAnotherShape) {
  const nkat::testing::TemporaryFolder folder;
  const at::Tensor values = at::tensor({1.5, -0.0, 3.0e-39, 7.0}, at::kFloat).view({2, 2});
  const data::SafetensorsFile file(
      folder.write("x.safetensors", data::serialize_safetensors({float32_to_write("w", values)}, {})));
  EXPECT_TRUE(at::equal(read_float32(file, "w", {2, 2}), values));
  EXPECT_THAT(nkat::testing::message_of<FormatError>([&] {
                read_float32(file, "v", {2, 2});
              }),
              ::testing::EndsWith("x.safetensors: the tensor 'v' is missing"));
  EXPECT_THAT(nkat::testing::message_of<ShapeError>([&] { read_float32(file, "w", {4}); }),
              ::testing::EndsWith("x.safetensors: tensor 'w': expected F32 (4), found F32 (2, 2)"));
}

}  // namespace
}  // namespace nkat::models
