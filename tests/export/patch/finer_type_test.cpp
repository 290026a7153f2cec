#include "export/patch/finer_type.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/tiny_export.h"

namespace nkat::exporting {
namespace {

using namespace nkat::testing;
using enum gguf::GgmlType;
using ::testing::ElementsAre;

TEST(FinerType, CandidatesHaveMoreBitsAWeightThanTheStoredType) {
  EXPECT_THAT(finer_types(kQ2_K, 512), ElementsAre(kQ4_K, kQ5_K, kQ6_K, kQ8_0, kF16));
  EXPECT_THAT(finer_types(kQ4_1, 512), ElementsAre(kQ5_K, kQ6_K, kQ8_0, kF16));  // 5 bits
  EXPECT_THAT(finer_types(kQ4_K, 512), ElementsAre(kQ5_K, kQ6_K, kQ8_0, kF16));  // 4.5 itself
  EXPECT_THAT(finer_types(kQ8_0, 512), ElementsAre(kF16));
  EXPECT_EQ(bits_a_weight(kQ6_K), 6.5625);
}

TEST(FinerType, RowsThatSuperBlocksDontDivideHaveOthers) {
  EXPECT_THAT(finer_types(kIQ4_NL, 96), ElementsAre(kQ5_1, kQ8_0, kF16));  // 4.5 bits
  EXPECT_THAT(finer_types(kMXFP4, 96), ElementsAre(kQ4_0, kQ5_1, kQ8_0, kF16));
}

TEST(FinerType, WeightsThatAreNoBlocksStayAsTheyAre) {
  for (const gguf::GgmlType type : {kF32, kF16, kBF16}) EXPECT_THAT(finer_types(type, 512), ElementsAre(type));
}

// W on a grid of 1/16, and M = (1 + gate) I: the change of a layer is gate W.
class TypeThatKeeps : public ::testing::Test {
 protected:
  gguf::GgmlType type_of(double gate, const RetentionLimits& limits = {}) const {
    const at::Tensor down = (at::randn({32, 256}) * 16).round() / 16;
    const std::vector<at::Tensor> blocks = {(1 + gate) * at::eye(8).repeat({4, 1, 1})};
    return type_that_keeps(tiny_merged({{down_projection(0), down}}, blocks), down_projection(0), kQ4_1, limits);
  }
};

TEST_F(TypeThatKeeps, ASmallerChangeNeedsAFinerType) {
  at::manual_seed(1);
  EXPECT_EQ(type_of(0.5), kQ5_K);
  EXPECT_EQ(type_of(0.01), kQ8_0);
  EXPECT_EQ(type_of(1e-4), kF16);
}

}  // namespace
}  // namespace nkat::exporting
