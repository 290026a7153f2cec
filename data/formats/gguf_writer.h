// Writes a GGUF file of version 3 (layout: gguf_format.h) from metadata, the tensors' sizes, and their bytes as they
// are made: nothing larger than the caller's own pieces is held.
//
//   write_gguf(path, metadata, {{"output_norm.weight", {3072}, GgmlType::kF32}},
//              [&](const GgufTensor& tensor, const AppendBytes& append) { append(bytes_of(tensor)); });
//
// Deterministic: the same calls give the same bytes. Whole or absent: temporary name, fsync, rename, free space checked
// first (core/files/atomic_file.h). A plan that the reader would refuse is refused before anything is written: FormatError.
// If `verify` throws, the file is not published: an older one stays as it was.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "core/files/file.h"
#include "data/formats/gguf_header.h"

namespace nkat::gguf {

struct GgufTensorPlan {
  std::string name;
  std::vector<std::uint64_t> ne;  // ggml's order: a weight of PyTorch's (out, in) is {in, out}
  GgmlType type = GgmlType::kF32;
};

using AppendBytes = std::function<void(std::span<const std::byte>)>;
// Appends exactly tensor.bytes, in any number of pieces. Called once per tensor, in the order of the plan.
using ProduceTensor = std::function<void(const GgufTensor& tensor, const AppendBytes& append)>;

// Looks at the file, whole and closed to writing, under its temporary name.
using VerifyFile = std::function<void(const fs::path& temporary)>;

// Bytes of the whole file.
std::uint64_t gguf_file_size(const GgufMetadata& metadata, const std::vector<GgufTensorPlan>& tensors);

void write_gguf(const fs::path& path, const GgufMetadata& metadata, const std::vector<GgufTensorPlan>& tensors,
                const ProduceTensor& produce, const VerifyFile& verify = {});

}  // namespace nkat::gguf
