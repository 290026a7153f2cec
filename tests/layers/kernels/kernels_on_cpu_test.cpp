// The CUDA kernels' own source, run on the CPU (tests/support/cuda_on_cpu.h), held to the layers' CPU paths: at most
// twice the error that those make in the same type against float64. Widths 8 at a time and 1 at a time.
// First: it declares what device code takes from nvcc.
// clang-format off
#include "tests/support/cuda_on_cpu.h"
// clang-format on

#include <ATen/core/Tensor.h>
#include <ATen/ops/linalg_matrix_norm.h>
#include <gtest/gtest.h>

#include "layers/cpu/loops.h"
#include "layers/kernels/device/block_diagonal.cuh"
#include "layers/kernels/device/cross_entropy.cuh"
#include "layers/kernels/device/rms_norm.cuh"
#include "layers/kernels/device/rope.cuh"
#include "layers/kernels/device/so8_rotation.cuh"
#include "layers/kernels/device/swiglu.cuh"
#include "layers/so8_rotation.h"
#include "tests/support/tolerance.h"

namespace nkat::layers {
namespace {

using device::SumOf;
using testing::kGradientFactor;
using testing::kValueFactor;
using testing::max_abs;
using testing::max_error;
using testing::run_on_cpu;

template <typename Pointed>
Pointed* pointer(const at::Tensor& tensor) {
  return static_cast<Pointed*>(tensor.data_ptr());
}

unsigned rows_of(const at::Tensor& x) { return static_cast<unsigned>(x.size(0)); }
int width_of(const at::Tensor& x) { return static_cast<int>(x.size(1)); }

// Calls run(Scalar{}, type) for each element type.
template <typename Run>
void for_each_type(const Run& run) {
  run(float{}, at::kFloat);
  run(__nv_bfloat16{}, at::kBFloat16);
  run(double{}, at::kDouble);
}

// Float64 has no wider reference: there fewer than 64 roundings lie on the way to any value, sums over lanes included,
// of terms no larger than the largest value, or 1.
::testing::AssertionResult is_as_good_as(const at::Tensor& actual, const at::Tensor& twin, const at::Tensor& exact,
                                         double factor) {
  if (actual.scalar_type() != at::kDouble) return testing::is_as_good_as(actual, twin, exact, factor);
  const double error = max_error(actual, exact), bound = 64 * 0x1p-53 * std::max(1.0, max_abs(exact));
  if (error <= bound) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "error " << error << " above " << bound;
}

at::Tensor normal(at::IntArrayRef shape, at::ScalarType type) { return at::randn(shape, at::kDouble).to(type); }
at::Tensor wide(const at::Tensor& x) { return x.to(at::kDouble); }

template <typename Scalar, int kWidth>
void check_rms_norm(at::ScalarType type, std::int64_t rows, std::int64_t channels) {
  const at::Tensor x = 3 * normal({rows, channels}, type), weight = normal({channels}, type);
  const at::Tensor dy = normal({rows, channels}, type), y = at::empty_like(x), dx = at::empty_like(x);
  const RmsNormResult twin = cpu::rms_norm(x, weight, 1e-5), exact = cpu::rms_norm(wide(x), wide(weight), 1e-5);
  const at::Tensor scale = at::empty_like(twin.scale);
  run_on_cpu(dim3(rows_of(x)), dim3(device::kNormThreads), device::rms_norm<Scalar, kWidth>,
             device::NormArguments<Scalar>{pointer<const Scalar>(x), pointer<const Scalar>(weight), pointer<Scalar>(y),
                                           pointer<SumOf<Scalar>>(scale), width_of(x), SumOf<Scalar>(1e-5)});
  EXPECT_TRUE(is_as_good_as(y, twin.y, exact.y, kValueFactor)) << type << ' ' << channels;
  EXPECT_TRUE(is_as_good_as(scale, twin.scale, exact.scale, kValueFactor)) << type << ' ' << channels;
  run_on_cpu(dim3(rows_of(x)), dim3(device::kNormThreads), device::rms_norm_backward<Scalar, kWidth>,
             device::NormBackwardArguments<Scalar>{pointer<const Scalar>(dy), pointer<const Scalar>(x),
                                                   pointer<const Scalar>(weight), pointer<const SumOf<Scalar>>(scale),
                                                   pointer<Scalar>(dx), width_of(x)});
  EXPECT_TRUE(is_as_good_as(dx, cpu::rms_norm_backward(dy, x, weight, twin.scale),
                            cpu::rms_norm_backward(wide(dy), wide(x), wide(weight), exact.scale), kGradientFactor))
      << type << ' ' << channels;
}

TEST(KernelsOnCpu, RmsNormIsAsGoodAsItsTwin) {
  at::manual_seed(1);
  for_each_type([](auto element, at::ScalarType type) {
    using Scalar = decltype(element);
    for (const std::int64_t channels : {1, 33, 129}) check_rms_norm<Scalar, 1>(type, 2, channels);
    for (const std::int64_t channels : {8, 1040}) check_rms_norm<Scalar, 8>(type, 3, channels);
  });
}

template <typename Scalar, int kWidth>
void check_rope(at::ScalarType type, HeadSpan heads, std::int64_t half, bool back) {
  constexpr std::int64_t kTokens = 3;
  const at::Tensor rows = normal({kTokens, heads.count * heads.head_dim + 16}, type);
  const RopeAngles angles{.cos = normal({kTokens, half}, type), .sin = normal({kTokens, half}, type)};
  const RopeAngles wide_angles{.cos = wide(angles.cos), .sin = wide(angles.sin)};
  const at::Tensor ours = rows.clone(), twin = rows.clone(), exact = wide(rows);
  run_on_cpu(dim3(kTokens), dim3(device::kRopeThreads), device::rotate_heads<Scalar, kWidth>,
             device::RopeArguments<Scalar>{pointer<Scalar>(ours), pointer<const Scalar>(angles.cos),
                                           pointer<const Scalar>(angles.sin), rows.size(1), static_cast<int>(half),
                                           static_cast<int>(heads.count), static_cast<int>(heads.head_dim),
                                           back ? -1.0f : 1.0f});
  cpu::rotate_heads_(twin, angles, heads, back);
  cpu::rotate_heads_(exact, wide_angles, heads, back);
  EXPECT_TRUE(is_as_good_as(ours, twin, exact, kValueFactor)) << type << ' ' << half;
}

TEST(KernelsOnCpu, RopeIsAsGoodAsItsTwin) {
  at::manual_seed(2);
  for_each_type([](auto element, at::ScalarType type) {
    using Scalar = decltype(element);
    for (const bool back : {false, true}) {
      check_rope<Scalar, 1>(type, {.count = 5, .head_dim = 7}, 3, back);
      check_rope<Scalar, 8>(type, {.count = 20, .head_dim = 96}, 48, back);
    }
  });
}

template <typename Scalar, int kWidth>
void check_swiglu(at::ScalarType type, std::int64_t width, unsigned stretches) {
  constexpr std::int64_t kTokens = 2;
  const at::Tensor gate_up = 5 * normal({kTokens, 2 * width}, type), dy = normal({kTokens, width}, type);
  gate_up[0][0] = -200;  // exp(200) is infinite in float32
  const at::Tensor y = at::empty_like(dy), gradient = at::empty_like(gate_up);
  const dim3 grid(kTokens, stretches), threads(device::kSwigluThreads);
  run_on_cpu(grid, threads, device::swiglu<Scalar, kWidth>,
             device::SwigluArguments<Scalar>{pointer<const Scalar>(gate_up), nullptr, pointer<Scalar>(y),
                                             static_cast<int>(width)});
  run_on_cpu(grid, threads, device::swiglu_backward<Scalar, kWidth>,
             device::SwigluArguments<Scalar>{pointer<const Scalar>(gate_up), pointer<const Scalar>(dy),
                                             pointer<Scalar>(gradient), static_cast<int>(width)});
  EXPECT_TRUE(is_as_good_as(y, cpu::swiglu(gate_up), cpu::swiglu(wide(gate_up)), kValueFactor)) << type << ' ' << width;
  EXPECT_TRUE(is_as_good_as(gradient, cpu::swiglu_backward(dy, gate_up), cpu::swiglu_backward(wide(dy), wide(gate_up)),
                            kGradientFactor))
      << type << ' ' << width;
}

TEST(KernelsOnCpu, SwigluIsAsGoodAsItsTwin) {
  at::manual_seed(3);
  for_each_type([](auto element, at::ScalarType type) {
    using Scalar = decltype(element);
    for (const std::int64_t width : {1, 33, 600}) check_swiglu<Scalar, 1>(type, width, 2);
    for (const std::int64_t width : {8, 4800}) check_swiglu<Scalar, 8>(type, width, 2);
  });
}

template <typename Scalar, int kWidth>
void check_token_loss(at::ScalarType type, std::int64_t vocabulary, bool wanted) {
  constexpr std::int64_t kRows = 2;
  const at::Tensor logits = 4 * normal({kRows, vocabulary}, type);
  logits[0][0] = -std::numeric_limits<double>::infinity();
  const at::Tensor targets = at::tensor({vocabulary - 1, vocabulary / 2}, at::kLong);
  const at::Tensor ours = logits.clone(), twin = logits.clone(), exact = wide(logits);
  const auto losses = [&] { return at::empty({kRows}, at::promoteTypes(type, at::kFloat)); };
  const at::Tensor found = losses(), twin_losses = losses(), exact_losses = wide(losses());
  run_on_cpu(dim3(kRows), dim3(device::kLossThreads), device::softmax_loss<Scalar, kWidth>,
             device::LossArguments<Scalar>{pointer<Scalar>(ours), pointer<const long long>(targets),
                                           pointer<SumOf<Scalar>>(found), static_cast<int>(vocabulary), wanted, 0.25});
  cpu::softmax_loss_(twin, targets, twin_losses, {.scale = 0.25, .wanted = wanted});
  cpu::softmax_loss_(exact, targets, exact_losses, {.scale = 0.25, .wanted = wanted});
  EXPECT_TRUE(is_as_good_as(found, twin_losses, exact_losses, kValueFactor)) << type << ' ' << vocabulary;
  if (wanted)
    EXPECT_TRUE(is_as_good_as(ours, twin, exact, kGradientFactor)) << type << ' ' << vocabulary;
  else
    EXPECT_TRUE(at::equal(ours, logits));
}

TEST(KernelsOnCpu, CrossEntropyIsAsGoodAsItsTwin) {
  at::manual_seed(4);
  for_each_type([](auto element, at::ScalarType type) {
    using Scalar = decltype(element);
    check_token_loss<Scalar, 1>(type, 2, true);
    check_token_loss<Scalar, 1>(type, 1037, true);
    check_token_loss<Scalar, 8>(type, 8256, true);
  });
  check_token_loss<float, 8>(at::kFloat, 32064, false);
}

// weight (count, 8, 8) whose skew part has this spectral norm.
at::Tensor weight_of_norm(std::int64_t count, double norm) {
  const at::Tensor raw = at::randn({count, 8, 8}, at::kDouble), skew = (raw - raw.transpose(1, 2)) / 2;
  return skew * (norm / at::linalg_matrix_norm(skew, 2).view({count, 1, 1})) + (raw + raw.transpose(1, 2)) / 2;
}

template <typename Real>
at::Tensor rotation_on_cpu(const at::Tensor& weight) {
  const at::Tensor out = at::empty_like(weight);
  run_on_cpu(dim3((rows_of(weight) + 3) / 4), dim3(32), device::so8_rotation<Real>, pointer<const Real>(weight),
             pointer<Real>(out), weight.size(0));
  return out;
}

template <typename Real>
at::Tensor rotation_backward_on_cpu(const at::Tensor& weight, const at::Tensor& gradient) {
  const at::Tensor out = at::empty_like(weight);
  run_on_cpu(dim3((rows_of(weight) + 3) / 4), dim3(32), device::so8_rotation_backward<Real>,
             pointer<const Real>(weight), pointer<const Real>(gradient), pointer<Real>(out), weight.size(0));
  return out;
}

// Both sides err by a few roundings that each squaring at most doubles: 2^6 (2^9 at norm 200) times a few 2^-53.
TEST(KernelsOnCpu, RotationAndItsAdjointEqualTheCpuPathAtEveryNorm) {
  at::manual_seed(5);
  for (const double norm : {0.0, 0.01, 1.0, 6.3, 24.0, 200.0}) {
    const at::Tensor weight = weight_of_norm(6, norm), gradient = at::randn({6, 8, 8}, at::kDouble);
    const double bound = norm > 24 ? 2e-12 : 2e-13;
    EXPECT_LE(max_error(rotation_on_cpu<double>(weight), so8_rotation(weight)), bound) << norm;
    const at::Tensor adjoint = so8_rotation_backward(weight, gradient);
    EXPECT_LE(max_error(rotation_backward_on_cpu<double>(weight, gradient), adjoint), bound * max_abs(adjoint)) << norm;
    const at::Tensor single = weight.to(at::kFloat), single_gradient = gradient.to(at::kFloat);
    EXPECT_LE(max_error(rotation_on_cpu<float>(single), so8_rotation(wide(single))), 0x1p-24 + bound) << norm;
    EXPECT_LE(max_error(rotation_backward_on_cpu<float>(single, single_gradient),
                        so8_rotation_backward(wide(single), wide(single_gradient))),
              (0x1p-24 + bound) * max_abs(adjoint) * 1.01)
        << norm;
  }
}

TEST(KernelsOnCpu, RotationOfAMatrixDoesNotDependOnItsNeighbors) {
  at::manual_seed(6);
  const at::Tensor weight = weight_of_norm(5, 1.0), gradient = at::randn({5, 8, 8}, at::kDouble);
  const at::Tensor alone = rotation_on_cpu<double>(weight),
                   adjoint = rotation_backward_on_cpu<double>(weight, gradient);
  weight[2] *= 500;  // squares more often
  EXPECT_TRUE(at::equal(rotation_on_cpu<double>(weight)[3], alone[3]));
  EXPECT_TRUE(at::equal(rotation_backward_on_cpu<double>(weight, gradient)[3], adjoint[3]));
}

TEST(KernelsOnCpu, RotationSpreadsWhatIsNotFiniteInItsOwnMatrixOnly) {
  const at::Tensor weight = at::zeros({5, 8, 8}, at::kDouble);
  weight[1][0][1] = std::numeric_limits<double>::infinity();
  weight[2][3][4] = std::numeric_limits<double>::quiet_NaN();
  weight[4][0][1] = 1e6;  // squares more often than its neighbors in the warp
  const at::Tensor rotation = rotation_on_cpu<double>(weight);
  EXPECT_TRUE(at::equal(rotation[0], at::eye(8, at::kDouble)));
  EXPECT_TRUE(rotation[1].isnan().any().item<bool>());
  EXPECT_TRUE(rotation[2].isnan().any().item<bool>());
  EXPECT_TRUE(at::equal(rotation[3], at::eye(8, at::kDouble)));
  EXPECT_TRUE(rotation[4].isfinite().all().item<bool>());
}

template <typename Scalar, int kWarps>
void check_block_diagonal(at::ScalarType type, std::int64_t tokens, std::int64_t blocks) {
  using Value = SumOf<Scalar>;
  const at::Tensor residual = normal({tokens, 8 * blocks}, type), h = normal({tokens, 8 * blocks}, type);
  const at::Tensor dy = normal({tokens, 8 * blocks}, type);
  const at::Tensor m = normal({blocks, 8, 8}, type == at::kDouble ? at::kDouble : at::kFloat);
  const at::Tensor y = at::empty_like(h), dh = at::empty_like(h), dm = at::empty_like(m);
  const device::Extent extent{tokens, static_cast<int>(blocks)};
  const std::int64_t chunks = (tokens + device::kTokensPerChunk - 1) / device::kTokensPerChunk;
  const at::Tensor partials = at::empty({chunks, blocks, 8, 8}, m.options());
  const dim3 grid(static_cast<unsigned>(chunks), static_cast<unsigned>((blocks + 31) / 32)), threads(32, kWarps);
  run_on_cpu(grid, threads, device::add_block_diagonal<Scalar, Value, kWarps>, pointer<const Scalar>(residual),
             pointer<const Scalar>(h), pointer<const Value>(m), pointer<Scalar>(y), extent);
  run_on_cpu(grid, threads, device::block_diagonal_backward<Scalar, Value, kWarps, true, true>,
             device::BackwardArguments<Scalar, Value>{pointer<const Scalar>(dy), pointer<const Scalar>(h),
                                                      pointer<const Value>(m), pointer<Scalar>(dh),
                                                      pointer<Value>(partials), extent});
  run_on_cpu(dim3(static_cast<unsigned>(blocks)), dim3(64), device::add_chunks<Value>, pointer<const Value>(partials),
             pointer<Value>(dm), chunks, 64 * blocks);
  const auto twin = [&](const auto& of) {
    const at::Tensor out = at::empty_like(of(h)), h_gradient = at::empty_like(out), sums = at::empty_like(of(m));
    cpu::add_block_diagonal(of(residual), of(h), of(m), out);
    cpu::block_diagonal_backward(
        {.gradient = of(dy), .h = of(h), .matrices = of(m), .h_gradient = h_gradient, .matrices_gradient = sums});
    return std::array<at::Tensor, 3>{out, h_gradient, sums};
  };
  const auto same = twin([](const at::Tensor&x) { return x; }), exact = twin(wide);
  EXPECT_TRUE(is_as_good_as(y, same[0], exact[0], kValueFactor)) << type;
  EXPECT_TRUE(is_as_good_as(dh, same[1], exact[1], kGradientFactor)) << type;
  EXPECT_TRUE(is_as_good_as(dm, same[2], exact[2], kGradientFactor)) << type;
}

TEST(KernelsOnCpu, BlockDiagonalIsAsGoodAsItsTwin) {
  at::manual_seed(6);
  for (const std::int64_t tokens : {1, 33, 130}) {
    check_block_diagonal<float, 4>(at::kFloat, tokens, 33);
    check_block_diagonal<__nv_bfloat16, 4>(at::kBFloat16, tokens, 3);
    check_block_diagonal<double, 2>(at::kDouble, tokens, 5);
  }
}

}  // namespace
}  // namespace nkat::layers
