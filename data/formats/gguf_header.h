// The header of a GGUF file, everything before its data: version, metadata, and each tensor's name, shape, type and
// place (layout and limits: gguf_format.h). Checked whole, so that whoever has a GgufHeader may trust it.
//
// Refused with a FormatError that names source, byte or tensor, what was required and what was found: another magic or
// version, counts beyond the file, unknown types, arrays of arrays, duplicate, empty or overlong names, names with
// control characters, dimensions and products that overflow, rows that are no whole blocks, offsets that are not
// exactly sequential, and files that are cut or have bytes appended. What a value means (a known architecture? NaNs?)
// is not checked.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/formats/gguf_metadata.h"
#include "data/quantize/ggml_type.h"

namespace nkat::gguf {

struct GgufTensor {
  std::string name;
  std::array<std::uint64_t, kMostDimensions> ne{1, 1, 1, 1};  // ggml's order: ne[0] is the length of a row
  std::uint32_t dimensions = 1;
  GgmlType type = GgmlType::kF32;
  std::uint32_t part = 0;    // of a split file, from 0
  std::uint64_t offset = 0;  // from the start of the data of its part
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

}  // namespace nkat::gguf
