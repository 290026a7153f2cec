#include "models/device.h"

#include <charconv>

#include <ATen/detail/CUDAHooksInterface.h>
#include <fmt/format.h>

#include "core/error.h"
#include "core/message.h"
#include "layers/kernels/device_info.h"

namespace nkat::models {
namespace {

constexpr int kOldestDriver = 580;  // for CUDA 13.0

std::int64_t cuda_device_count() {
  const auto& hooks = at::detail::getCUDAHooks();
  return hooks.hasCUDA() ? hooks.deviceCount() : 0;
}

}  // namespace

at::Device resolve_device(const std::string& text, const std::optional<std::string>& driver) {
  if (text == "cpu") return at::kCPU;
  const std::int64_t count = cuda_device_count();
  if (text == "auto") {
    if (count == 0 && driver && layers::built_with_cuda()) {
      throw DeviceError(fmt::format(
          "--device auto: expected a usable GPU with NVIDIA driver {} or newer (CUDA 13), found driver {} and no "
          "usable GPU; update the driver, or choose --device cpu",
          kOldestDriver, *driver));
    }
    return count > 0 ? at::Device(at::kCUDA, 0) : at::Device(at::kCPU);
  }

  std::int8_t index = 0;
  bool valid = text == "cuda";
  if (text.starts_with("cuda:")) {
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data() + 5, end, index);
    valid = error == std::errc() && stop == end && index >= 0;
  }
  if (!valid) throw ConfigError("--device: " + expected("auto, cpu or cuda:N", "'" + text + "'"));
  if (count == 0) {
    throw DeviceError(fmt::format(
        "--device {}: no usable CUDA device (no GPU or driver, or a build without CUDA); use --device cpu", text));
  }
  if (index >= count) {
    throw DeviceError(fmt::format("--device {}: this machine has {} CUDA device{}, cuda:0 to cuda:{}", text, count,
                                  count == 1 ? "" : "s", count - 1));
  }
  return {at::kCUDA, index};
}

at::ScalarType resolve_precision(const std::string& text, at::Device device) {
  if (text == "bf16") return at::kBFloat16;
  if (text == "fp32") return at::kFloat;
  if (text != "auto") throw ConfigError("--precision: " + expected("auto, bf16 or fp32", "'" + text + "'"));
  return device.is_cuda() || processor_has_bf16() ? at::kBFloat16 : at::kFloat;
}

std::string precision_name(at::ScalarType dtype) { return dtype == at::kBFloat16 ? "bf16" : "fp32"; }

}  // namespace nkat::models
