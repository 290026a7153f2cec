// Times the block-diagonal map at the width of Phi-3.5-mini (H = 3072) against ATen's own products, on the CPU or on
// the first CUDA device, there the row-wise kernels too (row_kernels_benchmark.h), and prints what share of the
// memory's peak the kernels reach. Called by scripts/gpu_check.
//   layers_benchmark devices | cpu | cuda | cpu-quick      (quick: one call each, to see that it runs)
#include <cstdio>
#include <string_view>

#include <ATen/Parallel.h>
#include <ATen/ops/bmm.h>
#include <torch/csrc/autograd/autograd.h>

#include "layers/block_diagonal.h"
#include "layers/kernels/device_info.h"
#include "tests/layers/row_kernels_benchmark.h"
#include "tests/support/benchmark_timer.h"

namespace {

using namespace nkat::layers;
using namespace nkat::testing;

constexpr std::int64_t kHidden = 3072;

// What one would write with ATen: float32 products of the blocks, the residual added, one rounding.
at::Tensor plain_map(const at::Tensor& residual, const at::Tensor& h, const at::Tensor& blocks) {
  const at::Tensor columns = h.to(at::kFloat).view({h.size(0), -1, 8}).permute({1, 2, 0});    // (N, 8, T)
  const at::Tensor rotated = at::bmm(blocks, columns).permute({2, 0, 1}).reshape(h.sizes());  // (T, H)
  return (residual.to(at::kFloat) + rotated).to(h.scalar_type());
}

using Map = at::Tensor (*)(const at::Tensor&, const at::Tensor&, const at::Tensor&);

struct Times {
  double forward, backward;
};

Times time_map(Map map, std::int64_t tokens, at::ScalarType type, const at::Device& device) {
  const auto rows = [&] { return at::randn({tokens, kHidden}).to(device, type); };
  const at::Tensor residual = rows(), dy = rows(), h = rows().requires_grad_();
  const at::Tensor blocks = at::randn({kHidden / 8, 8, 8}).to(device).requires_grad_();
  const double forward = best_seconds_of(device, [&] { map(residual, h, blocks); });
  const double both = best_seconds_of(device, [&] {
    torch::autograd::grad({map(residual, h, blocks)}, {h, blocks}, {dy});
  });
  return {forward, both - forward};
}

void print_row(std::int64_t tokens, at::ScalarType type, const at::Device& device, double peak) {
  const Times ours = time_map(add_block_diagonal, tokens, type, device),
              plain = time_map(plain_map, tokens, type, device);
  const double bytes = 3.0 * static_cast<double>(tokens * kHidden) * static_cast<double>(c10::elementSize(type));
  const auto share = [&](double seconds) {
    return peak > 0 ? fmt::format("{:.0f}%", 100 * bytes / seconds / peak) : std::string("-");
  };
  fmt::print("{:<9} {:>6}  {:>9.1f} {:>7.1f} {:>5}  {:>9.1f} {:>7.1f} {:>5}  {:>9.3f} {:>7.3f}\n", c10::toString(type),
             tokens, ours.forward * 1e6, bytes / ours.forward / 1e9, share(ours.forward), ours.backward * 1e6,
             bytes / ours.backward / 1e9, share(ours.backward), ours.forward / plain.forward,
             ours.backward / plain.backward);
}

int print_devices() {
  for (const CudaDevice& device : cuda_devices())
    std::printf("%s, sm_%d%d, %.2f of %.2f GiB free, peak %.0f GB/s\n", device.name.c_str(), device.major, device.minor,
                static_cast<double>(device.free_bytes) / (1 << 30), static_cast<double>(device.total_bytes) / (1 << 30),
                device.peak_bytes_per_second / 1e9);
  return 0;
}

int measure(const at::Device& device) {
  const double peak = device.is_cuda() ? cuda_devices().at(0).peak_bytes_per_second : 0.0;
  std::printf("block-diagonal map on %s, H = %lld; bytes counted: 3 T H values each way; ratio: time / ATen's time\n",
              device.str().c_str(), static_cast<long long>(kHidden));
  std::printf("dtype     tokens  fwd us      GB/s  peak   bwd us      GB/s  peak  ratio fwd     bwd\n");
  for (const at::ScalarType type : {at::kBFloat16, at::kFloat})
    for (const std::int64_t tokens : {256, 1024, 8192})
      if (device.is_cuda() || tokens < 8192) print_row(tokens, type, device, peak);
  if (!device.is_cuda()) return 0;
  print_row_kernels(peak);
  const CudaAllocatorStats stats = cuda_allocator_stats(0);
  std::printf("allocator: peak %.2f GiB in tensors, %.2f GiB reserved; device free %.2f GiB\n",
              static_cast<double>(stats.peak_allocated_bytes) / (1 << 30),
              static_cast<double>(stats.peak_reserved_bytes) / (1 << 30),
              static_cast<double>(cuda_free_bytes(0)) / (1 << 30));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view what = argc == 2 ? argv[1] : "";
  if (what == "devices") return print_devices();
  if (what == "cpu-quick") timing = {.rounds = 1, .calls = 1};
  if (what == "cpu" || what == "cpu-quick") return measure(at::kCPU);
  if (what == "cuda") return measure(at::Device(at::kCUDA, 0));
  std::fprintf(stderr, "usage: layers_benchmark devices | cpu | cuda | cpu-quick\n");
  return 2;
}
