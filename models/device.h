// Which device, number type and base weight format a command computes with: the options, what they resolve to, and
// which errors mean that the device failed or its memory ran out.
#pragma once

#include <exception>
#include <optional>
#include <string>

#include <ATen/core/Tensor.h>

#include "core/cli/options.h"
#include "core/machine.h"
#include "models/weights/weight_format.h"

namespace nkat::models {

enum class Precision { kAuto, kBf16, kFp32 };
inline constexpr EnumNames<Precision, 3> kPrecisionNames = {
    {{Precision::kAuto, "auto"}, {Precision::kBf16, "bf16"}, {Precision::kFp32, "fp32"}}};

// Adds --device, --precision and --base, the same for every command that computes.
void declare_device_options(OptionList& options, std::string& device, Precision& precision, BaseFormat& base);

// "auto": the first CUDA device if there is one, else the CPU; "cpu"; "cuda" or "cuda:N".
// ConfigError for another text; DeviceError if the CUDA device asked for isn't there, or if "auto" finds an NVIDIA driver
// loaded and no GPU that can be used: training on the CPU instead would take weeks unnoticed.
at::Device resolve_device(const std::string& text, const std::optional<std::string>& driver = nvidia_driver_version());

// kAuto: BF16 on a GPU and on a CPU that multiplies it natively, else float32.
at::ScalarType resolve_precision(Precision precision, at::Device device);

// Of a resolved type: kBf16 or kFp32.
Precision precision_of(at::ScalarType dtype);
std::string precision_name(at::ScalarType dtype);

// Whoever reports it: our allocator limits, the caching allocator, the driver, cuBLAS or the system.
bool is_out_of_memory(const std::exception& error);

// Whether a LibTorch error comes from the device (driver, cuBLAS, cuDNN, NCCL, memory) rather than from a bug of ours.
bool is_device_failure(const std::exception& error);

// Rethrows the exception being handled: out of memory as DeviceError (exit 4) naming `what`, anything else unchanged.
[[noreturn]] void rethrow_memory_as_device_error(const char* what);

}  // namespace nkat::models
