// GGUF files, read through a memory map; the header is checked before anything is used (gguf_header.h).
//
//   const GgufFile file("model.gguf");
//   const std::string architecture = file.metadata().string("general.architecture");
//   const GgufTensor* norm = file.find("output_norm.weight");
//   decode_rows(norm->type, file.bytes(*norm), values);
//
// Errors: those of parse_gguf(). Metadata is copied out of the map; of a tensor's bytes nothing is read.
// Memory: below the file's size without its data, plus 64 MiB.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/files/file.h"
#include "data/formats/gguf_header.h"

namespace nkat::gguf {

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
