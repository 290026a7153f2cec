// Between safetensors bytes and tensors on the host, for the small float32 files (adapters and trainer state). Bytes
// are copied, because a mapped tensor may be unaligned.
#pragma once

#include <string>

#include <ATen/core/Tensor.h>

#include "core/files/file.h"
#include "data/formats/safetensors.h"

namespace nkat::models {

// A float32 copy of the tensor; ShapeError if shape or dtype differ from what is asked for.
at::Tensor float32_tensor(const data::SafetensorsFile& file, const data::TensorInfo& info, at::IntArrayRef shape,
                          const fs::path& path);

// Refers to the tensor's memory (contiguous float32 on the host), which must outlive the result.
data::TensorToWrite float32_to_write(const std::string& name, const at::Tensor& tensor);

}  // namespace nkat::models
