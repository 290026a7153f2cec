#include "models/device.h"

#include <charconv>
#include <new>

#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/util/Exception.h>
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

// Nothing for a text that names no device; "auto" is none.
std::optional<at::Device> named_device(const std::string& text) {
  if (text == "cpu") return at::kCPU;
  if (text == "cuda") return at::Device(at::kCUDA, 0);
  if (!text.starts_with("cuda:")) return std::nullopt;
  std::int8_t index = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data() + 5, end, index);
  if (error != std::errc() || stop != end || index < 0) return std::nullopt;
  return at::Device(at::kCUDA, index);
}

// "" for a text that --device takes.
std::string device_error(const std::string& text) {
  if (text == "auto" || named_device(text)) return "";
  return expected("auto, cpu or cuda:N", fmt::format("'{}'", text));
}

}  // namespace

void declare_device_options(OptionList& options, std::string& device, Precision& precision, BaseFormat& base) {
  options.add("device", device,
              {.help = "auto, cpu or cuda:N",
               .metavar = "DEVICE",
               .check = device_error,
               .resume = Resume::kMayChange,
               .per_rank = true});
  options.add("precision", precision, kPrecisionNames, {.help = "compute type"});
  options.add("base", base, kBaseFormatNames,
              {.help = "format of the frozen weights: safe = bf16 (--precision's type), balanced = int8, aggressive = "
                       "nf4 for gate_up_proj and int8 for the others; exports merge into the original weights"});
}

at::Device resolve_device(const std::string& text, const std::optional<std::string>& driver) {
  if (const std::string error = device_error(text); !error.empty()) throw ConfigError("--device: " + error);
  if (text == "cpu") return at::kCPU;
  const std::int64_t count = cuda_device_count();
  if (text == "auto") {
    if (count == 0 && driver && layers::built_with_cuda()) {
      throw DeviceError("--device auto: " +
                        expected(fmt::format("a usable GPU with NVIDIA driver {} or newer (CUDA 13)", kOldestDriver),
                                 fmt::format("driver {} and no usable GPU", *driver),
                                 "update the driver, or choose --device cpu"));
    }
    return count > 0 ? at::Device(at::kCUDA, 0) : at::Device(at::kCPU);
  }

  if (count == 0) {
    throw DeviceError(fmt::format(
        "--device {}: no usable CUDA device (no GPU or driver, or a build without CUDA); use --device cpu", text));
  }
  const at::Device device = *named_device(text);
  if (device.index() >= count) {
    throw DeviceError(fmt::format("--device {}: this machine has {} CUDA device{}, cuda:0 to cuda:{}", text, count,
                                  count == 1 ? "" : "s", count - 1));
  }
  return device;
}

at::ScalarType resolve_precision(Precision precision, at::Device device) {
  if (precision == Precision::kBf16) return at::kBFloat16;
  if (precision == Precision::kFp32) return at::kFloat;
  return device.is_cuda() || processor_has_bf16() ? at::kBFloat16 : at::kFloat;
}

Precision precision_of(at::ScalarType dtype) { return dtype == at::kBFloat16 ? Precision::kBf16 : Precision::kFp32; }

std::string precision_name(at::ScalarType dtype) { return name_of(precision_of(dtype), kPrecisionNames); }

bool is_out_of_memory(const std::exception& error) {
  if (dynamic_cast<const c10::OutOfMemoryError*>(&error) != nullptr) return true;
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) return true;
  // These arrive as plain errors with a message.
  const std::string_view text = error.what();
  for (const char* sign : {"can't allocate memory", "CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED"}) {
    if (text.find(sign) != std::string_view::npos) return true;
  }
  return false;
}

bool is_device_failure(const std::exception& error) {
  if (dynamic_cast<const c10::Error*>(&error) == nullptr) return false;
  const std::string_view text = error.what();
  for (const char* sign : {"CUDA error", "CUDA driver", "CUBLAS_STATUS", "CUDNN_STATUS", "NCCL"}) {
    if (text.find(sign) != std::string_view::npos) return true;
  }
  return is_out_of_memory(error);
}

void rethrow_memory_as_device_error(const char* what) {
  try {
    throw;
  } catch (const std::exception& error) {
    if (!is_out_of_memory(error)) throw;
    throw DeviceError(fmt::format("{}: out of memory: {}", what, first_line(error.what())));
  }
}

}  // namespace nkat::models
