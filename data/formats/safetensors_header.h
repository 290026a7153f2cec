// The header of a safetensors file, parsed and checked; format and limits: data/formats/safetensors.h.
// Memory: at most the header's text and 64 MiB.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "data/formats/safetensors.h"

namespace nkat::data {

inline constexpr const char* kMetadataKey = "__metadata__";

struct SafetensorsHeader {
  std::vector<TensorInfo> tensors;  // in the order of their bytes
  std::map<std::string, std::string> metadata;
  std::uint64_t data_begin = 0;  // from the start of the file
};

// source: the file's name, for messages. Throws FormatError.
SafetensorsHeader parse_safetensors(std::span<const std::byte> file, const std::string& source);

std::size_t dtype_rank(DType dtype);  // its place in the order in which the official writer lays tensors out

}  // namespace nkat::data
