// GGUF files, read through a memory map and checked whole before anything is used (layout and limits: gguf_format.h).
//
//   const GgufFile file("model.gguf");
//   const std::string architecture = file.metadata().string("general.architecture");
//   const GgufTensor* norm = file.find("output_norm.weight");
//   decode_rows(norm->type, file.bytes(*norm), values);
//
// Refused with a FormatError that names path, byte or tensor, what was required and what was found: another magic or
// version, counts beyond the file, unknown types, arrays of arrays, duplicate, empty or overlong names, names with
// control characters, dimensions and products that overflow, rows that are no whole blocks, offsets that are not
// exactly sequential, and files that are cut or have bytes appended. Metadata is copied out of the map; of a tensor's
// bytes nothing is read. What a value means (a known architecture? NaNs?) is not checked.
// Memory: below the file's size without its data, plus 64 MiB.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/files/file.h"
#include "data/formats/gguf_metadata.h"
#include "data/quantize/ggml_type.h"

namespace nkat::gguf {

struct GgufTensor {
  std::string name;
  std::array<std::uint64_t, kMostDimensions> ne{1, 1, 1, 1};  // ggml's order: ne[0] is the length of a row
  std::uint32_t dimensions = 1;
  GgmlType type = GgmlType::kF32;
  std::uint64_t offset = 0;  // from the start of the data
  std::uint64_t bytes = 0;

  std::uint64_t elements() const { return ne[0] * ne[1] * ne[2] * ne[3]; }
  std::uint64_t rows() const { return ne[1] * ne[2] * ne[3]; }
};

struct GgufHeader {
  std::uint32_t version = kVersion;
  std::uint32_t alignment = kDefaultAlignment;
  GgufMetadata metadata;
  std::vector<GgufTensor> tensors;  // in the order of their bytes
  std::uint64_t data_begin = 0;     // from the start of the file
  std::uint64_t data_bytes = 0;     // with padding behind the last tensor
};

// Parts 1 to 7 of the layout; `file` may end where the data begins. source: the file's name, for messages.
GgufHeader parse_gguf_header(std::span<const std::byte> file, const std::string& source);
// The same, and the data must be there.
GgufHeader parse_gguf(std::span<const std::byte> file, const std::string& source);

// general.alignment, checked; the default where it is missing.
std::uint32_t alignment_of(const GgufMetadata& metadata, const std::string& source);

class GgufFile {
 public:
  explicit GgufFile(const fs::path& path);

  std::uint32_t version() const { return header_.version; }
  std::uint32_t alignment() const { return header_.alignment; }
  const GgufMetadata& metadata() const { return header_.metadata; }
  const std::vector<GgufTensor>& tensors() const { return header_.tensors; }  // in the order of their bytes
  const GgufTensor* find(std::string_view name) const;                        // nullptr if there is none
  std::span<const std::byte> bytes(const GgufTensor& tensor) const;           // mapped, read-only
  // Gives the tensor's pages back to the system; reading them again is allowed.
  void release(const GgufTensor& tensor) const;
  const fs::path& path() const { return path_; }
  std::uint64_t size() const { return map_.bytes().size(); }

 private:
  fs::path path_;
  MappedFile map_;
  GgufHeader header_;
  std::unordered_map<std::string, std::size_t> index_;
};

}  // namespace nkat::gguf
