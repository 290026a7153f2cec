// Which device and number type a command computes in, from what its options say.
#pragma once

#include <optional>
#include <string>

#include <ATen/core/Tensor.h>

#include "core/machine.h"

namespace nkat::models {

// "auto": the first CUDA device if there is one, else the CPU; "cpu"; "cuda" or "cuda:N".
// ConfigError for another text; DeviceError if the CUDA device asked for isn't there, or if "auto" finds an NVIDIA driver
// loaded and no GPU that can be used: training on the CPU instead would take weeks unnoticed.
at::Device resolve_device(const std::string& text, const std::optional<std::string>& driver = nvidia_driver_version());

// "auto": BF16 on a GPU and on a CPU that multiplies it natively, else float32; "bf16"; "fp32". ConfigError otherwise.
at::ScalarType resolve_precision(const std::string& text, at::Device device);

// "bf16" or "fp32", as the option spells it.
std::string precision_name(at::ScalarType dtype);

}  // namespace nkat::models
