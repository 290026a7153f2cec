#include "validation/geometry/geometry.h"

#include <cmath>
#include <limits>

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/complex.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/linalg_det.h>
#include <ATen/ops/linalg_eigh.h>
#include <ATen/ops/real.h>
#include <ATen/ops/sin.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tolerance.h"
#include "tests/validation/run/saved_run.h"

namespace nkat::validation {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using namespace nkat::testing;
constexpr double kEpsilon = 0x1p-52;

class GeometryTest : public ::testing::Test {
 protected:
  void save(std::int64_t step, const WeightFunction& weight) {
    write_checkpoint(run_, step, checkpoint_files(step, metrics_lines(step, shape_.layers()), shape_, weight));
  }
  std::vector<GeometryRow> measure() { return measure_geometry(read_run(run_), nullptr); }
  std::string refusal() {
    try {
      measure();
    } catch (const Error& error) {
      EXPECT_EQ(error.exit_code(), ExitCode::kInput);
      return error.what();
    }
    return "accepted";
  }

  const TemporaryFolder folder_;
  const fs::path run_ = folder_.path() / "run";
  AdapterShape shape_{.hidden = 48, .first_layer = 1, .num_layers = 3};
};

// Plane (0, 1) of every block turns by `angle`; W carries a symmetric part, which must not count.
WeightFunction turn(float angle) {
  return [angle](std::int64_t, std::int64_t row, std::int64_t column) {
    if (row == 1 && column == 0) return 2 * angle;
    return row == column ? 0.75F : 0.0F;
  };
}

// A different weight for every entry and block, of order `scale`; the same in every layer.
WeightFunction mixed(float scale) {
  return [scale](std::int64_t block, std::int64_t row, std::int64_t column) {
    return scale * std::sin(static_cast<float>(1 + 64 * block + 8 * row + 3 * column * column));
  };
}

TEST_F(GeometryTest, KnowsARotationOfOnePlane) {
  save(10, turn(0.5F));
  const auto rows = measure();
  ASSERT_EQ(rows.size(), 2U);
  for (const GeometryRow& row : rows) {
    EXPECT_DOUBLE_EQ(row.angle_max, 0.5);
    EXPECT_EQ(row.angle_median, 0.0);
    EXPECT_DOUBLE_EQ(row.norm_max, 0.5 * std::sqrt(2.0));
    // cos and sin carry one unit in the last place each, twenty products of the exponential some more.
    EXPECT_LT(row.exact.orthogonality_max, 50 * kEpsilon);
    EXPECT_LE(row.exact.orthogonality_mean, row.exact.orthogonality_max);
    EXPECT_LT(row.exact.determinant_max, 50 * kEpsilon);
  }
}

// R = [[c, -s], [s, c]] in one plane, c and s rounded to the nearest BF16 by hand.
TEST_F(GeometryTest, MeasuresWhatRoundingToBf16DoesToTheRotation) {
  save(10, turn(0.5F));
  const double c = 0.87890625, s = 0.478515625;  // of 0.87758256, 0.47942554
  const double defect = c * c + s * s - 1;
  const RotationQuality rounded = measure().front().bf16;
  EXPECT_NEAR(rounded.orthogonality_max, std::sqrt(2.0) * std::abs(defect), 4 * kEpsilon);
  EXPECT_NEAR(rounded.orthogonality_mean, rounded.orthogonality_max, 4 * kEpsilon);
  EXPECT_NEAR(rounded.determinant_max, std::abs(defect), 4 * kEpsilon);
}

// Two blocks of a triple at rest, one turned by t in the plane of e0 and e1: R_v(e_i e_j) - e_i e_j is the distance of
// a unit vector from its image, 2 - 2 cos t in each of the 2 x 8 products that are +-e0 or +-e1; over 64.
TEST_F(GeometryTest, KnowsTheTrialityLossOfOneTurnedBlock) {
  const double t = 0.5;
  save(10, [](std::int64_t block, std::int64_t row, std::int64_t column) {
    return block % 3 == 0 && row == 1 && column == 0 ? 1.0F : 0.0F;
  });
  EXPECT_NEAR(measure().front().exact.triality, 16 * (2 - 2 * std::cos(t)) / 64, 10 * kEpsilon);
}

// Another road to each number: the exponential from the eigenvectors of i A, angles from its eigenvalues, LAPACK's
// determinant. Both roads lose some units in the last place of the 8 x 8 sums.
TEST_F(GeometryTest, AgreesWithAnEigendecomposition) {
  save(10, mixed(2.0F));
  const GeometryRow row = measure().back();
  at::Tensor weight = at::empty({6, 8, 8}, at::kDouble);
  for (std::int64_t i = 0; i < 6 * 64; ++i)
    weight.view(-1)[i] = static_cast<double>(mixed(2.0F)(i / 64, i / 8 % 8, i % 8));
  const at::Tensor skew = (weight - weight.transpose(1, 2)) / 2;
  const auto [values, vectors] = at::linalg_eigh(at::complex(at::zeros_like(skew), -skew));  // of -i A: A = V i D V^H
  const at::Tensor phases = at::complex(at::cos(values), at::sin(values));
  const at::Tensor rotation = at::real(at::matmul(vectors * phases.unsqueeze(1), vectors.mH()));
  const at::Tensor rounded = rotation.to(at::kBFloat16).to(at::kDouble);
  const auto error_of = [](const at::Tensor& r) {
    return (at::matmul(r.transpose(1, 2), r) - at::eye(8, at::kDouble)).flatten(1).norm(2, 1);
  };
  const at::Tensor angles = std::get<0>(values.abs().flatten().sort());
  EXPECT_NEAR(row.angle_max, angles[-1].item<double>(), 100 * kEpsilon * angles[-1].item<double>());
  // Every angle comes twice, so the median of all is between entries 23 and 24 of 48.
  EXPECT_NEAR(row.angle_median, 0.5 * (angles[23] + angles[24]).item<double>(), 1e-13);
  EXPECT_NEAR(row.norm_max, skew.flatten(1).norm(2, 1).max().item<double>(), 1e-13);
  EXPECT_NEAR(row.exact.orthogonality_max, 0.0, 1e-13);
  EXPECT_NEAR(row.exact.determinant_max, 0.0, 1e-13);
  EXPECT_NEAR(row.bf16.orthogonality_max, error_of(rounded).max().item<double>(), 1e-13);
  EXPECT_NEAR(row.bf16.orthogonality_mean, error_of(rounded).mean().item<double>(), 1e-13);
  EXPECT_NEAR(row.bf16.determinant_max, (at::linalg_det(rounded) - 1).abs().max().item<double>(), 1e-13);
}

TEST_F(GeometryTest, ReturnsARowForEachCheckpointAndLayerInTheirOrder) {
  for (const std::int64_t step : {20, 0, 10}) save(step, turn(0.1F * static_cast<float>(step)));
  std::vector<std::pair<std::int64_t, std::int64_t>> order;
  std::vector<double> angles;
  for (const GeometryRow& row : measure()) {
    order.emplace_back(row.step, row.layer);
    angles.push_back(row.angle_max);
  }
  EXPECT_THAT(order, ElementsAre(std::pair(0, 1), std::pair(0, 2), std::pair(10, 1), std::pair(10, 2), std::pair(20, 1),
                                 std::pair(20, 2)));
  EXPECT_FLOAT_EQ(static_cast<float>(angles[2]), 1.0F);
  EXPECT_FLOAT_EQ(static_cast<float>(angles[4]), 2.0F);  // not taken modulo anything
}

TEST_F(GeometryTest, DoesNotDependOnTheNumberOfThreads) {
  shape_.hidden = 8 * 300;
  save(10, mixed(1.0F));
  const int before = at::get_num_threads();
  const GeometryRow many = measure().front();
  at::set_num_threads(1);
  const GeometryRow one = measure().front();
  at::set_num_threads(before);
  for (const auto field : {&RotationQuality::orthogonality_max, &RotationQuality::orthogonality_mean,
                           &RotationQuality::determinant_max, &RotationQuality::triality}) {
    EXPECT_EQ(many.exact.*field, one.exact.*field);
    EXPECT_EQ(many.bf16.*field, one.bf16.*field);
  }
  EXPECT_EQ(many.angle_median, one.angle_median);
  EXPECT_EQ(many.norm_max, one.norm_max);
}

TEST_F(GeometryTest, ReportsItsProgress) {
  for (const std::int64_t step : {0, 10}) save(step, turn(0.5F));
  std::vector<std::pair<std::int64_t, std::int64_t>> calls;
  measure_geometry(read_run(run_), [&](std::int64_t done, std::int64_t total) { calls.emplace_back(done, total); });
  EXPECT_THAT(calls, ElementsAre(std::pair(1, 2), std::pair(2, 2)));
}

TEST_F(GeometryTest, LeavesOutACheckpointThatWasRemovedMeanwhile) {
  for (const std::int64_t step : {0, 10}) save(step, turn(0.5F));
  const RunRecords run = read_run(run_);
  fs::remove_all(run.checkpoints.front().path);
  const auto rows = measure_geometry(run, nullptr);
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows.front().step, 10);
}

TEST_F(GeometryTest, RefusesNaNWithFileLayerAndBlock) {
  save(10, turn(0.5F));
  save(20, [](std::int64_t block, std::int64_t row, std::int64_t column) {
    return block == 4 && row == 7 && column == 2 ? std::numeric_limits<float>::quiet_NaN() : 0.0F;
  });
  EXPECT_THAT(refusal(), AllOf(HasSubstr("step-000020/adapter_model.safetensors: layer 1 (step 20, the newest "
                                         "checkpoint): block 4 contains NaN or infinity")));
}

TEST_F(GeometryTest, RefusesInfEvenOnTheDiagonalThatDoesNotAct) {
  save(10, [](std::int64_t block, std::int64_t row, std::int64_t column) {
    return block == 2 && row == 3 && column == 3 ? std::numeric_limits<float>::infinity() : 0.0F;
  });
  save(20, turn(0.5F));
  EXPECT_THAT(refusal(),
              HasSubstr("step-000010/adapter_model.safetensors: layer 1 (step 10): block 2 contains NaN or infinity"));
}

TEST_F(GeometryTest, RefusesWeightsTooLargeForARotation) {
  for (const float scale : {1e20F, 3e38F}) {
    save(10, [scale](std::int64_t block, std::int64_t row, std::int64_t column) {
      return block == 5 && row == 7 && column == 2 ? scale : 0.0F;
    });
    EXPECT_THAT(refusal(),
                AllOf(HasSubstr("layer 1 (step 10, the newest checkpoint): block 5: expected ||R^T R - I|| of at "
                                "most 1e-06, found"),
                      HasSubstr("because ||A|| is")));
  }
}

TEST_F(GeometryTest, AcceptsAnglesOfManyTurns) {
  save(10, mixed(50.0F));
  EXPECT_LT(measure().front().exact.orthogonality_max, 1e-6);
}

TEST_F(GeometryTest, RefusesAnAlphaThatIsNotFiniteWithFileAndLayer) {
  for (const float alpha : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
    auto files = checkpoint_files(10, metrics_lines(10, 2), shape_, turn(0.5F));
    files[data::kAdapterModelFile] = adapter_bytes(shape_, turn(0.5F), alpha);
    write_checkpoint(run_, 10, files);
    EXPECT_THAT(refusal(), HasSubstr("step-000010/adapter_model.safetensors: layer 1 (step 10, the newest checkpoint): "
                                     "alpha: expected a finite number"));
  }
}

TEST_F(GeometryTest, RefusesAnAdapterOfAnotherSizeThanItsConfig) {
  auto files = checkpoint_files(10, metrics_lines(10, 2), shape_, turn(0.5F));
  files[data::kAdapterModelFile] = adapter_bytes({.hidden = 16, .first_layer = 1, .num_layers = 3}, turn(0.5F));
  write_checkpoint(run_, 10, files);
  EXPECT_THAT(refusal(), HasSubstr("tensor 'layers.1.so8t.weight': expected F32 (6, 8, 8), found F32 (2, 8, 8)"));
}

TEST_F(GeometryTest, RefusesAnAdapterWithoutOneOfItsLayers) {
  auto files = checkpoint_files(10, metrics_lines(10, 2), shape_, turn(0.5F));
  files[data::kAdapterModelFile] = adapter_bytes({.hidden = 48, .first_layer = 1, .num_layers = 2}, turn(0.5F));
  write_checkpoint(run_, 10, files);
  EXPECT_THAT(refusal(), HasSubstr("the tensor 'layers.2.so8t.weight' is missing"));
}

}  // namespace
}  // namespace nkat::validation
