// safetensors files, read through a memory map and checked whole before anything is used (Hugging Face's format).
//
//   u64 little-endian n | n bytes of JSON, one object | data buffer up to the end of the file
//   "name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}   offsets count from the data buffer
//   "__metadata__": {"text": "text"}                                          optional
//
// Refused with a FormatError that names path, tensor and limit: n above 100,000,000 or beyond the file, JSON that is
// broken, duplicate keys, unknown fields and types, more than 131,072 tensors, names that are empty, longer than 256
// bytes or hold control characters, ranks above 8, sizes that overflow or don't match their range, gaps, overlaps and
// bytes after the last tensor. Values (NaN) are not checked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/files/file.h"

namespace nkat::data {

enum class DType { kF64, kF32, kF16, kBF16, kI64, kI32, kI16, kI8, kU64, kU32, kU16, kU8, kBool };

std::size_t dtype_size(DType dtype);  // bytes of one element
const char* dtype_name(DType dtype);  // "BF16"

struct TensorInfo {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<std::int64_t> shape;  // row-major; empty: one element
  std::uint64_t begin = 0;          // bytes in the data buffer: [begin, end)
  std::uint64_t end = 0;
};

// A file's header, parsed and checked; needs at most the header's text and 64 MiB.
struct SafetensorsHeader {
  std::vector<TensorInfo> tensors;  // in the order of their bytes
  std::map<std::string, std::string> metadata;
  std::uint64_t data_begin = 0;  // from the start of the file
};
// source: the file's name, for messages. Throws FormatError.
SafetensorsHeader parse_safetensors(std::span<const std::byte> file, const std::string& source);

class SafetensorsFile {
 public:
  explicit SafetensorsFile(const fs::path& path);

  const std::vector<TensorInfo>& tensors() const { return tensors_; }  // in the order of their bytes
  const TensorInfo* find(std::string_view name) const;                 // nullptr if there is none
  // Mapped, read-only, and not aligned to the element size in files of other writers: copy with memcpy.
  std::span<const std::byte> bytes(const TensorInfo& tensor) const;
  // Gives the tensor's pages back to the system; reading them again is allowed.
  void release(const TensorInfo& tensor) const;
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
  MappedFile map_;
  std::size_t data_begin_ = 0;
  std::vector<TensorInfo> tensors_;
  std::unordered_map<std::string, std::size_t> index_;
  std::map<std::string, std::string> metadata_;
};

// The start of a file whose tensors lie as their begin and end say: length and header, padded with spaces to a multiple
// of 8 bytes, or to `size` bytes in all for a writer that learns the sizes last.
std::string serialize_safetensors_header(const std::vector<TensorInfo>& tensors,
                                         const std::map<std::string, std::string>& metadata, std::uint64_t size = 0);

struct TensorToWrite {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;  // row-major, little-endian; alive until the call returns
};

// The file's bytes in the order of the official writer: dtypes from wide to narrow, then names; header padded to 8.
std::string serialize_safetensors(const std::vector<TensorToWrite>& tensors,
                                  const std::map<std::string, std::string>& metadata);

}  // namespace nkat::data
