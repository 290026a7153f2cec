// `--device` and `--precision` resolved to a device and a compute type.
#pragma once

#include <optional>
#include <string>

#include <ATen/core/Tensor.h>

#include "core/machine.h"

namespace nkat::models {

// "auto": the first CUDA device if there is one, else the CPU; "cpu"; "cuda" or "cuda:N". ConfigError for another
// string; DeviceError if the named CUDA device is missing, or if "auto" finds an NVIDIA driver but no usable GPU:
// training would run on the CPU for weeks unnoticed.
at::Device resolve_device(const std::string& text, const std::optional<std::string>& driver = nvidia_driver_version());

// "auto": BF16 on a GPU and on a CPU with BF16 instructions, else float32; "bf16"; "fp32". ConfigError otherwise.
at::ScalarType resolve_precision(const std::string& text, at::Device device);

// "bf16" or "fp32", as the option spells it.
std::string precision_name(at::ScalarType dtype);

}  // namespace nkat::models
