// Files and folders that appear whole under their name, or not at all, and files that grow line by line.
//
//   write_file_atomically("summary.json", text);
//   AtomicFile file("out/model.gguf", size);  file.append(header);  file.append(tensor);  file.publish();
//   AtomicFolder folder("checkpoints/step-7");  folder.write("state.json", text);  folder.publish();
//
// The bytes go to a temporary name in the same folder, which is synced, renamed, and its folder synced. A kill at any
// moment leaves the old content or none under the name; the next writer of that name removes what a killed process left.
// DeviceError (exit 4) when the disk refuses.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/files/file.h"

namespace nkat {

// Replaces `path` by these bytes.
void write_file_atomically(const fs::path& path, std::string_view bytes);

// A large file, written in pieces. Without publish() the destructor removes it.
class AtomicFile {
 public:
  // DeviceError if fewer than `size` bytes are free.
  AtomicFile(const fs::path& path, std::uint64_t size);
  explicit AtomicFile(const fs::path& path);  // of a size that is not known before
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();

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

// A folder of files, each synced as it is written. Without publish() the destructor removes it.
class AtomicFolder {
 public:
  explicit AtomicFolder(const fs::path& final_path);
  AtomicFolder(const AtomicFolder&) = delete;
  AtomicFolder& operator=(const AtomicFolder&) = delete;
  ~AtomicFolder();

  const fs::path& temporary_path() const { return temporary_; }
  void write(const std::string& name, std::string_view bytes);
  // Renames the folder into place. A folder of that name is exchanged with it, then removed.
  void publish();

 private:
  fs::path final_;
  fs::path temporary_;
  bool published_ = false;
};

// Removes temporary files and folders that an earlier process left in `folder` (names made by this header only).
void remove_stale_temporaries(const fs::path& folder);

// A file that grows line by line. Each append is one write(2), so a line is there whole or (after a crash) cut.
class AppendFile {
 public:
  // Opens or creates; keeps the first `keep_bytes` bytes and cuts the rest.
  AppendFile(const fs::path& path, std::uint64_t keep_bytes);
  void append(std::string_view bytes);
  void sync();

 private:
  fs::path path_;
  FileDescriptor file_;
};

}  // namespace nkat
