#include "tests/layers/row_kernels_benchmark.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/_log_softmax_backward_data.h>
#include <ATen/ops/linalg_matrix_exp.h>
#include <ATen/ops/rms_norm.h>
#include <ATen/ops/silu.h>
#include <fmt/format.h>

#include "layers/kernels/launchers.h"
#include "tests/support/benchmark_timer.h"

namespace nkat::layers {
namespace {

using testing::best_seconds_of;

constexpr std::int64_t kHidden = 3072, kInner = 8192, kVocabulary = 32064, kHeads = 32, kHeadDim = 96;

struct Row {
  const char* kernel;
  at::ScalarType type;
  std::int64_t rows;
  double values;  // read or written once
};

void print_row(const Row& row, double peak, const std::function<void()>& ours, const std::function<void()>& plain) {
  const at::Device device(at::kCUDA, 0);
  const double seconds = best_seconds_of(device, ours), bytes = row.values * static_cast<double>(elementSize(row.type));
  fmt::print("{:<18} {:<9} {:>6}  {:>9.1f} {:>7.1f} {:>5}  {:>9}\n", row.kernel, c10::toString(row.type), row.rows,
             seconds * 1e6, bytes / seconds / 1e9,
             peak > 0 ? fmt::format("{:.0f}%", 100 * bytes / seconds / peak) : "-",
             plain ? fmt::format("{:.3f}", seconds / best_seconds_of(device, plain)) : "-");
}

at::Tensor normal(at::IntArrayRef shape, at::ScalarType type) {
  return at::randn(shape, at::TensorOptions(at::kCUDA).dtype(at::kFloat)).to(type);
}

void norm_rows(std::int64_t rows, at::ScalarType type, double peak) {
  const at::Tensor x = normal({rows, kHidden}, type), dy = normal({rows, kHidden}, type), w = normal({kHidden}, type);
  const RmsNormResult result = kernels::rms_norm(x, w, 1e-5);
  const double values = static_cast<double>(x.numel());
  print_row(
      {"rms_norm", type, rows, 2 * values}, peak, [&] { kernels::rms_norm(x, w, 1e-5); },
      [&] { at::rms_norm(x, {kHidden}, w, 1e-5); });
  print_row({"rms_norm backward", type, rows, 3 * values}, peak,
            [&] { kernels::rms_norm_backward(dy, x, w, result.scale); }, {});
}

void rope_rows(std::int64_t rows, at::ScalarType type, double peak) {
  const at::Tensor qkv = normal({rows, 3 * kHidden}, type);
  const RopeAngles angles{.cos = at::ones({rows, kHeadDim / 2}, qkv.options()),
                          .sin = at::zeros({rows, kHeadDim / 2}, qkv.options())};
  print_row({"rope", type, rows, 2.0 * static_cast<double>(rows * 2 * kHidden)}, peak,
            [&] { kernels::rotate_heads_(qkv, angles, {.count = 2 * kHeads, .head_dim = kHeadDim}, /*back=*/false); },
            {});
}

void swiglu_rows(std::int64_t rows, at::ScalarType type, double peak) {
  const at::Tensor gate_up = normal({rows, 2 * kInner}, type), dy = normal({rows, kInner}, type);
  const double values = static_cast<double>(dy.numel());
  print_row(
      {"swiglu", type, rows, 3 * values}, peak, [&] { kernels::swiglu(gate_up); },
      [&] { at::silu(gate_up.narrow(1, 0, kInner)) * gate_up.narrow(1, kInner, kInner); });
  print_row({"swiglu backward", type, rows, 5 * values}, peak, [&] { kernels::swiglu_backward(dy, gate_up); }, {});
}

void loss_rows(at::ScalarType type, double peak) {
  constexpr std::int64_t kRows = 256;  // of a chunk
  const at::Tensor logits = normal({kRows, kVocabulary}, type),
                   losses = at::empty({kRows}, logits.options().dtype(at::kFloat));
  const at::Tensor targets = at::zeros({kRows}, losses.options().dtype(at::kLong));
  print_row(
      {"cross-entropy", type, kRows, 2.0 * static_cast<double>(logits.numel())}, peak,
      [&] { kernels::softmax_loss_(logits, targets, losses, {.scale = 1.0, .wanted = true}); },
      [&] { at::_log_softmax_backward_data(logits, at::log_softmax(logits, 1), 1, type); });
}

void rotations(double peak) {
  constexpr std::int64_t kMatrices = 32 * 384;
  const at::Tensor weight = 0.01 * normal({kMatrices, 8, 8}, at::kFloat);
  print_row(
      {"so8_rotation", at::kFloat, kMatrices, 2.0 * 64 * kMatrices}, peak, [&] { kernels::so8_rotation(weight); },
      [&] { at::linalg_matrix_exp(weight - weight.transpose(1, 2)); });
  print_row({"so8_rotation bwd", at::kFloat, kMatrices, 3.0 * 64 * kMatrices}, peak,
            [&] { kernels::so8_rotation_backward(weight, weight); }, {});
}

}  // namespace

void print_row_kernels(double peak) {
  fmt::print("kernels by row; ratio: time / ATen's time for the same\n");
  fmt::print("kernel             dtype       rows         us    GB/s  peak      ratio\n");
  for (const at::ScalarType type : {at::kBFloat16, at::kFloat}) {
    for (const std::int64_t rows : {256, 1024, 8192}) {
      norm_rows(rows, type, peak);
      rope_rows(rows, type, peak);
      swiglu_rows(rows, type, peak);
    }
    loss_rows(type, peak);
  }
  rotations(peak);
}

}  // namespace nkat::layers
