// Which device, number type and base weight format a command computes with: the options, and what they resolve to.
#pragma once

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

}  // namespace nkat::models
