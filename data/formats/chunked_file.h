// A file read once from its beginning, a chunk at a time, and hashed on the way: what the readers of data files share.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/files/file.h"
#include "core/files/sha256.h"

namespace nkat::data {

class ChunkedFile {
 public:
  explicit ChunkedFile(const fs::path& path);

  // What was read and not yet taken; valid until the next read_more().
  std::string_view rest() const { return std::string_view(buffer_).substr(position_); }
  void take(std::size_t bytes) { position_ += bytes; }
  // Appends up to 1 MiB to rest(); false at the end of the file.
  bool read_more();

  const fs::path& path() const { return path_; }
  std::uint64_t size() const { return size_; }
  std::uint64_t taken() const { return bytes_read_ - rest().size(); }
  std::string sha256() { return hash_.hex(); }  // of what was read; call once

 private:
  fs::path path_;
  FileDescriptor file_;
  std::uint64_t size_ = 0;
  std::uint64_t bytes_read_ = 0;
  std::string buffer_;
  std::size_t position_ = 0;
  Sha256 hash_;
};

// SHA-256 of a file's bytes, read in pieces. A stop signal ends it (Interrupted).
std::string sha256_of_file(const fs::path& path);

}  // namespace nkat::data
