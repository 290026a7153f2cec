// GGUF files, read through a memory map; the header is checked before anything is used (gguf_header.h).
//
//   const GgufFile file("model.gguf");
//   const std::string architecture = file.metadata().string("general.architecture");
//   const GgufTensor* norm = file.find("output_norm.weight");
//   decode_rows(norm->type, file.bytes(*norm), values);
//
// Errors: those of parse_gguf(). Metadata is copied out of the map; of a tensor's bytes nothing is read.
// Memory: below the file's size without its data, plus 64 MiB.
//
// A split file, as llama-gguf-split writes it: NAME-00001-of-0000N.gguf and its like beside it, each a GGUF file with the
// keys split.no (u16, from 0), split.count (u16) and split.tensors.count (i32, of all parts); the first part has the
// model's other keys.
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

// Does a model's path name a GGUF file, as opposed to a folder in Hugging Face format? A file does that is called .gguf, or
// begins as one.
bool is_gguf_model(const fs::path& model);

class GgufFile {
 public:
  // This one file, also where it is a part of a split one.
  explicit GgufFile(const fs::path& path);
  // The whole of a split file by its first part, without the split.* keys; any other file as it is. DataError for a part
  // that is missing; FormatError for another part than the first, and for parts that don't belong together.
  static GgufFile with_all_parts(const fs::path& path);

  std::uint32_t version() const { return header_.version; }
  std::uint32_t alignment() const { return header_.alignment; }
  const GgufMetadata& metadata() const { return header_.metadata; }
  const std::vector<GgufTensor>& tensors() const { return header_.tensors; }  // in the order of their bytes
  const GgufTensor* find(std::string_view name) const;                        // nullptr if there is none
  std::span<const std::byte> bytes(const GgufTensor& tensor) const;           // mapped, read-only
  // Gives the tensor's pages back to the system; reading them again is allowed.
  void release(const GgufTensor& tensor) const;
  const fs::path& path() const { return path_; }
  std::vector<fs::path> parts() const;  // the files it is read from
  std::uint64_t size() const;           // of all of them, bytes

 private:
  struct Part {
    fs::path path;
    MappedFile map;
    std::uint64_t data_begin = 0;
  };
  GgufFile(const fs::path& path, MappedFile map);
  void add(GgufFile part);
  void make_index();

  fs::path path_;
  std::vector<Part> parts_;
  GgufHeader header_;  // of the first part, with the tensors of all
  std::unordered_map<std::string, std::size_t> index_;
};

}  // namespace nkat::gguf
