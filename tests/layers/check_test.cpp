#include "layers/check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"

namespace nkat::layers {
namespace {

using ::testing::StrEq;
using ::testing::ThrowsMessage;

TEST(Check, AcceptsWhatFits) {
  const at::Tensor x = at::zeros({3, 8, 8});
  EXPECT_NO_THROW(check_shape("f", "x", x, {{"N"}, {"8", 8}, {"C", 8}}));
  EXPECT_NO_THROW(check_ends_in_blocks("f", "x", x));
  EXPECT_NO_THROW(check_same_shape("f", "x", x, at::ones({3, 8, 8})));
  EXPECT_NO_THROW(check_dtype("f", "x", x, {at::kDouble, at::kFloat}));
  EXPECT_NO_THROW(check_device("f", "x", x, at::kCPU));
}

TEST(Check, NamesTheTensorTheExpectedTupleAndTheSizes) {
  const at::Tensor x = at::zeros({3, 5});
  EXPECT_THAT(
      [&] {
        check_shape("f", "x", x, {{"T"}, {"H", 64}});
      },
      ThrowsMessage<ShapeError>(StrEq("f: expected x (T, H=64), found (3, 5)")));
  EXPECT_THAT(
      [&] {
        check_shape("f", "x", x, {{"T"}, {"8", 8}, {"8", 8}});
      },
      ThrowsMessage<ShapeError>(StrEq("f: expected x (T, 8, 8), found (3, 5)")));
  EXPECT_THAT([&] { check_shape("f", "x", at::Tensor(), {{"T"}}); },
              ThrowsMessage<ShapeError>(StrEq("f: expected x (T), found an undefined tensor")));
  EXPECT_THAT([&] { check_ends_in_blocks("f", "x", x); },
              ThrowsMessage<ShapeError>(StrEq("f: expected x (..., 8, 8), found (3, 5)")));
  EXPECT_THAT(
      [&] {
        check_same_shape("f", "x", x, at::zeros({3, 6}));
      },
      ThrowsMessage<ShapeError>(StrEq("f: expected x (3, 6), found (3, 5)")));
}

TEST(Check, NamesTypesAndDevices) {
  const at::Tensor x = at::zeros({2}, at::kHalf);
  EXPECT_THAT(
      [&] {
        check_dtype("f", "x", x, {at::kFloat, at::kDouble});
      },
      ThrowsMessage<ShapeError>(StrEq("f: expected x of type Float or Double, found Half")));
  EXPECT_THAT([&] { check_device("f", "x", x, at::Device(at::kCUDA, 0)); },
              ThrowsMessage<DeviceError>(StrEq("f: expected x on cuda:0, found cpu")));
}

}  // namespace
}  // namespace nkat::layers
