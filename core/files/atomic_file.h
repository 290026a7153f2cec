// A large file that is written in pieces and appears whole under its name, or not at all.
//
//   AtomicFile file("out/model.gguf", size);  file.append(header);  file.append(tensor);  file.publish();
//
// The bytes go to a temporary name in the same folder; publish() fsyncs, renames, and fsyncs the folder. A kill at any
// moment leaves the old file or none under the name; the temporary one of a killed process is removed by the next
// AtomicFile of that name. A disk that refuses, or has less than `size` free, is a DeviceError (exit 4).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "core/files/file.h"

namespace nkat {

// "." for a bare name.
fs::path folder_of(const fs::path& file);

class AtomicFile {
 public:
  AtomicFile(const fs::path& path, std::uint64_t size);
  explicit AtomicFile(const fs::path& path);  // of a size that is not known before
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();  // without publish() nothing stays

  void append(std::span<const std::byte> bytes);
  // Writes over the first bytes, which must have been appended: for a header that is known last.
  void replace_start(std::span<const std::byte> bytes);
  std::uint64_t written() const { return written_; }
  const fs::path& temporary_path() const { return temporary_; }  // until publish()
  void publish();  // exactly `size` bytes must have been appended, where it was given

 private:
  fs::path final_;
  fs::path temporary_;
  std::optional<std::uint64_t> size_;
  std::uint64_t written_ = 0;
  FileDescriptor file_;
  bool published_ = false;
};

}  // namespace nkat
