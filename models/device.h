// Which device and number type a command computes in, from what its options say.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace nkat::models {

// "auto": the first CUDA device if there is one, else the CPU; "cpu"; "cuda" or "cuda:N".
// ConfigError for another text; DeviceError if the CUDA device asked for isn't there.
at::Device resolve_device(const std::string& text);

// "auto": BF16 on a GPU and on a CPU that multiplies it natively, else float32; "bf16"; "fp32". ConfigError otherwise.
at::ScalarType resolve_precision(const std::string& text, at::Device device);

// "bf16" or "fp32", as the option spells it.
std::string precision_name(at::ScalarType dtype);

}  // namespace nkat::models
