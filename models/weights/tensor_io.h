// Conversion between safetensors bytes and CPU tensors, for the small float32 files (adapters, trainer state), and the
// search for values that are no numbers.
#pragma once

#include <cstdint>
#include <string>

#include <ATen/core/Tensor.h>

#include "core/files/file.h"
#include "data/formats/safetensors.h"

namespace nkat::models {

// A float32 copy (a mapped tensor may be unaligned). FormatError if there is none of that name; ShapeError if shape or
// dtype differ from what is asked for.
at::Tensor read_float32(const data::SafetensorsFile& file, const std::string& name, at::IntArrayRef shape);

// Refers to the tensor's memory (contiguous float32 on the CPU), which must outlive the result.
data::TensorToWrite float32_to_write(const std::string& name, const at::Tensor& tensor);

// How many values are NaN or infinite, without a copy: on a CPU by their bits, since LibTorch's sum of bfloat16 widens
// the whole tensor first, which took twice as long as reading a model. tensor: contiguous, float32, bfloat16, float16
// or float64, on any device.
std::int64_t count_nonfinite(const at::Tensor& tensor);

}  // namespace nkat::models
