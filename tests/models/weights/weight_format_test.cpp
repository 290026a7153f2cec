#include "models/weights/weight_format.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace nkat::models {
namespace {

using Storage = WeightFormat::Storage;

constexpr TensorRole kMatrices[] = {TensorRole::kQkv, TensorRole::kAttentionOutput, TensorRole::kGateUp,
                                    TensorRole::kDown};

TEST(BaseFormats, SafeHoldsEveryMatrixInTheComputeType) {
  for (const TensorRole role : kMatrices) EXPECT_EQ(formats_of(BaseFormat::kSafe).of(role).storage, Storage::kDense);
}

// One pass over the input would lose the channels beside a large one.
TEST(BaseFormats, BalancedHoldsEveryMatrixInEightBitsWithTwoPassesOverTheInput) {
  for (const TensorRole role : kMatrices) {
    const WeightFormat form = formats_of(BaseFormat::kBalanced).of(role);
    EXPECT_EQ(form.storage, Storage::kInt8);
    EXPECT_EQ(form.input_passes, 2);
    EXPECT_EQ(form.gradient_passes, 1);
  }
}

TEST(BaseFormats, AggressiveHoldsGateUpAloneInFourBits) {
  const LayerFormats forms = formats_of(BaseFormat::kAggressive);
  for (const TensorRole role : kMatrices) {
    EXPECT_EQ(forms.of(role).storage, role == TensorRole::kGateUp ? Storage::kNf4 : Storage::kInt8);
  }
  EXPECT_EQ(forms.of(TensorRole::kDown).input_passes, 2);
}

TEST(LayerFormats, KnowsALayersMatricesAlone) {
  const LayerFormats forms{.qkv = {.input_passes = 3},
                           .attention_output = {.input_passes = 4},
                           .gate_up = {.input_passes = 5},
                           .down = {.input_passes = 6}};
  std::int64_t passes = 3;
  for (const TensorRole role : kMatrices) EXPECT_EQ(forms.of(role).input_passes, passes++);
  for (const TensorRole role : {TensorRole::kEmbedding, TensorRole::kInputNorm, TensorRole::kHead}) {
    EXPECT_THROW(forms.of(role), InternalError);
  }
}

TEST(MatrixBytes, CountWeightsAndScales) {
  const TensorSpec matrix{.shape = {3, 70}};
  EXPECT_EQ(matrix_bytes(matrix, {.storage = Storage::kDense}, 2), 3 * 70 * 2);
  // A byte a weight, 4 bytes a row and a column.
  EXPECT_EQ(matrix_bytes(matrix, {.storage = Storage::kInt8}, 2), 3 * 70 + 3 * 4 + 70 * 4);
  // Half a byte a weight, 2 bytes for each of 3 blocks of a row, the last one short, and 4 bytes a column.
  EXPECT_EQ(matrix_bytes(matrix, {.storage = Storage::kNf4}, 2), 3 * 35 + 3 * 3 * 2 + 70 * 4);
  EXPECT_EQ(matrix_bytes({.shape = {3, 64}}, {.storage = Storage::kNf4}, 2), 3 * 32 + 3 * 2 * 2 + 64 * 4);
}

}  // namespace
}  // namespace nkat::models
