#include "layers/block_diagonal.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "core/error.h"
#include "layers/gate.h"
#include "layers/kernels/launchers.h"
#include "layers/so8_rotation.h"
#include "tests/support/cuda.h"
#include "tests/support/message_of.h"
#include "tests/support/tolerance.h"

namespace nkat::layers {
namespace {

using ::nkat::testing::is_as_good_as;
using ::nkat::testing::kGradientFactor;
using ::nkat::testing::kValueFactor;
using ::nkat::testing::max_error;

struct Problem {
  at::Tensor residual, h, matrices, dy;  // (T, H), (T, H), (N, 8, 8), (T, H)
};

Problem make_problem(std::int64_t tokens, std::int64_t blocks, at::ScalarType type, at::Device device = at::kCPU) {
  at::manual_seed(11);
  const at::ScalarType matrix_type = type == at::kDouble ? at::kDouble : at::kFloat;
  const auto rows = [&] { return at::randn({tokens, 8 * blocks}, at::kDouble).to(device, type); };
  const at::Tensor rotation = so8_rotation(at::randn({blocks, 8, 8}, at::kDouble));
  return {rows(), rows(), adapter_matrix(0.3, rotation).to(device, matrix_type), rows()};
}

Problem convert(const Problem& problem, at::ScalarType type) {
  return {problem.residual.to(type), problem.h.to(type), problem.matrices.to(type), problem.dy.to(type)};
}

struct Outcome {
  at::Tensor y, residual_gradient, h_gradient, matrices_gradient;
};

using Map = std::function<at::Tensor(const at::Tensor&, const at::Tensor&, const at::Tensor&)>;

// The map as one would write it in ATen, at whatever dtype it is given.
at::Tensor plain_map(const at::Tensor& residual, const at::Tensor& h, const at::Tensor& matrices) {
  const at::Tensor columns = h.view({h.size(0), -1, 8, 1});
  return residual + at::matmul(matrices, columns).view(h.sizes());
}

Outcome run(const Map& map, const Problem& problem) {
  const auto leaf = [](const at::Tensor& x) { return x.detach().clone().requires_grad_(); };
  const at::Tensor residual = leaf(problem.residual), h = leaf(problem.h), matrices = leaf(problem.matrices);
  const at::Tensor y = map(residual, h, matrices);
  const auto gradients = torch::autograd::grad({y}, {residual, h, matrices}, {problem.dy});
  return {y.detach(), gradients[0], gradients[1], gradients[2]};
}

// Against float64 on the same inputs, at most 2 (3) times as far as ATen at the same dtype. bfloat16 is held to more:
// the matrices' gradient to ATen in float32, since nothing on its way may be rounded to bfloat16.
void expect_as_good_as_plain(const Problem& problem) {
  const Outcome ours = run(add_block_diagonal, problem), reference = run(plain_map, convert(problem, at::kDouble));
  const Outcome plain = run(plain_map, convert(problem, problem.h.scalar_type()));
  const Outcome wide = run(plain_map, convert(problem, problem.matrices.scalar_type()));
  EXPECT_EQ(ours.y.scalar_type(), problem.h.scalar_type());
  EXPECT_TRUE(is_as_good_as(ours.y, plain.y, reference.y, kValueFactor));
  EXPECT_TRUE(is_as_good_as(ours.h_gradient, plain.h_gradient, reference.h_gradient, kGradientFactor));
  EXPECT_TRUE(
      is_as_good_as(ours.matrices_gradient, wide.matrices_gradient, reference.matrices_gradient, kGradientFactor));
  EXPECT_TRUE(at::equal(ours.residual_gradient, problem.dy));
}

// Float64 has no wider reference in ATen: two sums of n rounded terms differ by at most 2 n u times the sum of |terms|.
void expect_within_rounding(const Problem& problem) {
  const Outcome ours = run(add_block_diagonal, problem), plain = run(plain_map, problem);
  const Outcome size = run(plain_map, {.residual = problem.residual.abs(),
                                       .h = problem.h.abs(),
                                       .matrices = problem.matrices.abs(),
                                       .dy = problem.dy.abs()});
  const auto within = [](const at::Tensor& found, const at::Tensor& expected, const at::Tensor& terms, double count) {
    return ((found - expected).abs() <= 2 * count * 0x1p-53 * terms).all().item<bool>();
  };
  EXPECT_TRUE(within(ours.y, plain.y, size.y, 9));
  EXPECT_TRUE(within(ours.h_gradient, plain.h_gradient, size.h_gradient, 8));
  EXPECT_TRUE(within(ours.matrices_gradient, plain.matrices_gradient, size.matrices_gradient,
                     static_cast<double>(problem.h.size(0))));
}

void expect_correct(const Problem& problem) {
  if (problem.h.scalar_type() == at::kDouble)
    expect_within_rounding(problem);
  else
    expect_as_good_as_plain(problem);
}

using Case = std::tuple<at::ScalarType, std::int64_t, std::int64_t>;  // dtype, T, N

std::string case_name(const ::testing::TestParamInfo<Case>& info) {
  const auto [type, tokens, blocks] = info.param;
  return fmt::format("{}Tokens{}Blocks{}", c10::toString(type), tokens, blocks);
}

// Sizes around the tiles of 16 and 64 tokens and of 4, 16 and 32 blocks, and the full width.
const auto kCases = ::testing::Combine(::testing::Values(at::kFloat, at::kBFloat16, at::kDouble),
                                       ::testing::Values(1, 31, 32, 33, 64, 65, 200), ::testing::Values(1, 3, 33));

class BlockDiagonalOfSize : public ::testing::TestWithParam<Case> {};
class BlockDiagonalGpuOfSize : public ::testing::TestWithParam<Case> {};

TEST_P(BlockDiagonalOfSize, IsAsGoodAsPlainATen) {
  const auto [type, tokens, blocks] = GetParam();
  expect_correct(make_problem(tokens, blocks, type));
}

TEST_P(BlockDiagonalGpuOfSize, IsAsGoodAsPlainATenAndAgreesWithTheCpu) {
  NKAT_SKIP_WITHOUT_CUDA();
  const auto [type, tokens, blocks] = GetParam();
  const Problem problem = make_problem(tokens, blocks, type, at::kCUDA), host = make_problem(tokens, blocks, type);
  expect_correct(problem);
  const Outcome ours = run(add_block_diagonal, problem), twin = run(add_block_diagonal, host);
  const double scale = ::nkat::testing::unit_in_the_last_place(type);
  EXPECT_LE(max_error(ours.y, twin.y), 2 * scale * ::nkat::testing::max_abs(twin.y));
  EXPECT_LE(max_error(ours.h_gradient, twin.h_gradient), 2 * scale * ::nkat::testing::max_abs(twin.h_gradient));
}

INSTANTIATE_TEST_SUITE_P(Sizes, BlockDiagonalOfSize, kCases, case_name);
INSTANTIATE_TEST_SUITE_P(Sizes, BlockDiagonalGpuOfSize, kCases, case_name);

TEST(BlockDiagonal, EqualsFiniteDifferencesInFloat64) {
  const Problem problem = make_problem(5, 2, at::kDouble);
  const Outcome ours = run(add_block_diagonal, problem);
  const double step = 1e-6;
  const auto loss = [&](const at::Tensor& h, const at::Tensor& matrices) {
    return (add_block_diagonal(problem.residual, h, matrices) * problem.dy).sum().item<double>();
  };
  const auto differences = [&](const at::Tensor& x, const auto& at_shifted) {
    at::Tensor out = at::empty_like(x);
    for (std::int64_t entry = 0; entry < x.numel(); ++entry) {
      const at::Tensor up = x.clone(), down = x.clone();
      up.view(-1)[entry] += step;
      down.view(-1)[entry] -= step;
      out.view(-1)[entry] = (at_shifted(up) - at_shifted(down)) / (2 * step);
    }
    return out;
  };
  const at::Tensor dh = differences(problem.h, [&](const at::Tensor& h) { return loss(h, problem.matrices); });
  const at::Tensor dm = differences(problem.matrices, [&](const at::Tensor& m) { return loss(problem.h, m); });
  EXPECT_LE(max_error(ours.h_gradient, dh), 1e-6 * ::nkat::testing::max_abs(dh));
  EXPECT_LE(max_error(ours.matrices_gradient, dm), 1e-6 * ::nkat::testing::max_abs(dm));
}

TEST(BlockDiagonal, RoundsBFloat16Once) {
  const Problem problem = make_problem(33, 16, at::kBFloat16);
  const at::Tensor y = add_block_diagonal(problem.residual, problem.h, problem.matrices).to(at::kDouble);
  const Problem wide = convert(problem, at::kDouble);
  const at::Tensor exact = plain_map(wide.residual, wide.h, wide.matrices);
  // Half a unit in the last place of the result, and 10 float32 roundings of sums whose terms are below 10.
  const at::Tensor bound = exact.abs() * 0x1p-8 + 10 * 10 * 0x1p-24;
  EXPECT_TRUE(((y - exact).abs() <= bound).all().item<bool>());
}

// Rounded to bfloat16, 1 + sigma(-5) and 1 + sigma(-4.5) are the same number (layers/MATHEMATICS.md 1).
TEST(BlockDiagonal, ANearlyShutGateChangesBFloat16Outputs) {
  const at::Tensor residual = at::zeros({64, 64}, at::kBFloat16), h = at::randn({64, 64}).to(at::kBFloat16);
  const at::Tensor identity = at::eye(8).expand({8, 8, 8}).contiguous();
  const at::Tensor y = add_block_diagonal(residual, h, adapter_matrix(sigmoid(-5.0), identity));
  const at::Tensor wider = add_block_diagonal(residual, h, adapter_matrix(sigmoid(-4.5), identity));
  EXPECT_GT((y != wider).sum().item<std::int64_t>(), 64 * 64 / 4);
}

// What is still held once the caller has let go of everything but the output.
struct Held {
  bool residual, h;
};

Held held_by_the_graph(bool matrices_need_gradient) {
  const Problem problem = make_problem(7, 3, at::kFloat);
  const at::Tensor leaf = problem.h.clone().requires_grad_();
  const at::Tensor matrices = problem.matrices.clone().requires_grad_(matrices_need_gradient);
  at::Tensor residual = leaf + 1, h = leaf + 2;
  const auto residual_storage = residual.storage().getWeakStorageImpl(), h_storage = h.storage().getWeakStorageImpl();
  const at::Tensor y = add_block_diagonal(residual, h, matrices);
  residual.reset();
  h.reset();
  return {.residual = !residual_storage.expired(), .h = !h_storage.expired()};
}

TEST(BlockDiagonal, KeepsOnlyWhatTheBackwardPassNeeds) {
  EXPECT_FALSE(held_by_the_graph(true).residual);
  EXPECT_TRUE(held_by_the_graph(true).h);
  EXPECT_FALSE(held_by_the_graph(false).residual);
  EXPECT_FALSE(held_by_the_graph(false).h);
}

TEST(BlockDiagonal, GivesOnlyTheGradientsAskedFor) {
  const Problem problem = make_problem(40, 5, at::kFloat);
  const Outcome all = run(add_block_diagonal, problem);
  const at::Tensor h = problem.h.clone().requires_grad_(), matrices = problem.matrices.clone().requires_grad_();
  const at::Tensor frozen = add_block_diagonal(problem.residual, h, problem.matrices);
  EXPECT_TRUE(at::equal(torch::autograd::grad({frozen}, {h}, {problem.dy})[0], all.h_gradient));
  const at::Tensor lowest = add_block_diagonal(problem.residual, problem.h, matrices);
  EXPECT_TRUE(at::equal(torch::autograd::grad({lowest}, {matrices}, {problem.dy})[0], all.matrices_gradient));
}

TEST(BlockDiagonal, TakesNonContiguousInputsAndGradients) {
  const Problem problem = make_problem(33, 6, at::kFloat);
  const auto strided = [](const at::Tensor& x) { return x.t().contiguous().t(); };
  const Problem views{strided(problem.residual), strided(problem.h),
                      problem.matrices.transpose(0, 1).contiguous().transpose(0, 1), strided(problem.dy)};
  ASSERT_FALSE(views.h.is_contiguous() || views.matrices.is_contiguous() || views.dy.is_contiguous());
  const Outcome expected = run(add_block_diagonal, problem), found = run(add_block_diagonal, views);
  EXPECT_TRUE(at::equal(found.y, expected.y));
  EXPECT_TRUE(at::equal(found.h_gradient, expected.h_gradient));
  EXPECT_TRUE(at::equal(found.matrices_gradient, expected.matrices_gradient));
}

TEST(BlockDiagonal, OfNoTokensIsEmptyWithAZeroBlockGradient) {
  const Outcome ours = run(add_block_diagonal, make_problem(0, 4, at::kBFloat16));
  EXPECT_EQ(ours.y.sizes(), (at::IntArrayRef{0, 32}));
  EXPECT_EQ(::nkat::testing::max_abs(ours.matrices_gradient), 0.0);
}

TEST(BlockDiagonal, CarriesWhatIsNotFinite) {
  Problem problem = make_problem(2, 1, at::kBFloat16);
  problem.residual[1][3] = std::numeric_limits<float>::quiet_NaN();
  problem.residual[0][0] = std::numeric_limits<float>::infinity();
  const at::Tensor y = add_block_diagonal(problem.residual, problem.h, problem.matrices);
  EXPECT_TRUE(y[1][3].isnan().item<bool>());
  EXPECT_TRUE(y[0][0].isinf().item<bool>());
  EXPECT_EQ(y.isfinite().sum().item<std::int64_t>(), 14);
}

void expect_same_bits(const Outcome& found, const Outcome& expected) {
  EXPECT_TRUE(at::equal(found.y, expected.y));
  EXPECT_TRUE(at::equal(found.h_gradient, expected.h_gradient));
  EXPECT_TRUE(at::equal(found.matrices_gradient, expected.matrices_gradient));
}

TEST(BlockDiagonal, DoesNotDependOnTheThreadCount) {
  const Problem problem = make_problem(200, 96, at::kBFloat16);
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  const Outcome one = run(add_block_diagonal, problem);
  at::set_num_threads(3);
  expect_same_bits(run(add_block_diagonal, problem), one);
  at::set_num_threads(before);
}

TEST(BlockDiagonalGpu, RepeatsItsBits) {
  NKAT_SKIP_WITHOUT_CUDA();
  const Problem problem = make_problem(1000, 384, at::kBFloat16, at::kCUDA);
  const Outcome first = run(add_block_diagonal, problem);
  for (int repeat = 0; repeat < 20; ++repeat) expect_same_bits(run(add_block_diagonal, problem), first);
}

TEST(BlockDiagonalGpu, TakesAViewThatStartsBetweenTwoBlocks) {
  NKAT_SKIP_WITHOUT_CUDA();
  const Problem problem = make_problem(16, 4, at::kFloat, at::kCUDA);
  const at::Tensor shifted = at::empty({16 * 32 + 1}, problem.h.options()).slice(0, 1).view({16, 32}).copy_(problem.h);
  const at::Tensor expected = add_block_diagonal(problem.residual, problem.h, problem.matrices);
  EXPECT_TRUE(at::equal(add_block_diagonal(problem.residual, shifted, problem.matrices), expected));
}

std::string complaint(const at::Tensor& residual, const at::Tensor& h, const at::Tensor& matrices) {
  return nkat::testing::message_of([&] { add_block_diagonal(residual, h, matrices); });
}

// With kernels the device guard refuses, without them the stub library; neither ends the process.
TEST(BlockDiagonal, KernelsRefuseTensorsOfTheCpu) {
  const Problem problem = make_problem(2, 1, at::kFloat);
  EXPECT_ANY_THROW(kernels::add_block_diagonal(problem.residual, problem.h, problem.matrices));
  EXPECT_ANY_THROW(kernels::block_diagonal_backward(problem.dy, problem.h, problem.matrices, {true, true}));
}

TEST(BlockDiagonal, NamesWhatItRefuses) {
  const at::Tensor x = at::zeros({3, 16}), m = at::zeros({2, 8, 8});
  EXPECT_EQ(complaint(x, x, at::zeros({2, 8, 7})), "add_block_diagonal: expected matrices (N, 8, 8), found (2, 8, 7)");
  EXPECT_EQ(complaint(x, at::zeros({3, 17}), m), "add_block_diagonal: expected h (T, H=16), found (3, 17)");
  EXPECT_EQ(complaint(at::zeros({2, 16}), x, m), "add_block_diagonal: expected residual (T=3, H=16), found (2, 16)");
  EXPECT_EQ(complaint(x, x, m.to(at::kBFloat16)),
            "add_block_diagonal: expected matrices of type Float, found BFloat16");
  EXPECT_EQ(complaint(x.to(at::kHalf), x.to(at::kHalf), m),
            "add_block_diagonal: expected h of type Float or BFloat16 or Double, found Half");
  EXPECT_EQ(complaint(x.to(at::kBFloat16), x, m),
            "add_block_diagonal: expected residual of type Float, found BFloat16");
}

}  // namespace
}  // namespace nkat::layers
