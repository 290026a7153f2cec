// Files and folders: bounded reads, memory maps, locks. Writes that are whole or absent are in core/files/atomic_file.h.
// Every failure names the path. What is missing, unreadable or too large throws DataError (exit 3); a write that the
// disk refuses (full, quota, read-only, I/O error) throws DeviceError (exit 4).
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace nkat {

namespace fs = std::filesystem;

// Owns a POSIX file descriptor.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int descriptor) : descriptor_(descriptor) {}
  FileDescriptor(FileDescriptor&& other) noexcept;
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;
  ~FileDescriptor();
  int get() const { return descriptor_; }
  explicit operator bool() const { return descriptor_ >= 0; }

 private:
  int descriptor_ = -1;
};

// The DeviceError of a system call that has just failed: the path, what failed, and the reason in errno.
[[noreturn]] void fail_write(const fs::path& path, const char* what);
// Writes all bytes, or throws that DeviceError.
void write_all(const FileDescriptor& file, std::string_view bytes, const fs::path& path);

// Opens a regular file for reading; a folder, a device, a missing path, and a pointer that git-lfs or git-annex left in the
// file's place are a DataError.
FileDescriptor open_for_reading(const fs::path& path);

// Reads until `out` is full or the file ends; returns the number of bytes. path: for the message of a DataError.
std::size_t read_bytes(const FileDescriptor& file, std::span<char> out, const fs::path& path);

// The whole file, if it has at most `limit` bytes.
std::string read_file(const fs::path& path, std::uint64_t limit);

// A read-only private map of a whole regular file. An empty file maps to an empty span.
class MappedFile {
 public:
  MappedFile() = default;
  explicit MappedFile(const fs::path& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  // Tells the kernel that these bytes are not needed for now; they stay readable (from the file again).
  void release(std::size_t offset, std::size_t length) const;

 private:
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

// The folder of a file; "." for a bare name.
fs::path folder_of(const fs::path& file);

// Bytes that an unprivileged process may still write in this path's file system.
std::uint64_t free_disk_space(const fs::path& path);

// Creates the folder and its parents; DeviceError if that can't be.
void create_folders(const fs::path& path);

inline constexpr const char* kFolderLockFile = ".lock";

// Holds a folder for this process until destroyed. DeviceError that names the holder if another process has it.
class FolderLock {
 public:
  explicit FolderLock(const fs::path& folder);

 private:
  FileDescriptor file_;
};

// The folder for what can be computed again, created: $NKAT_CACHE_DIR, else $XDG_CACHE_HOME/nkat, else ~/.cache/nkat.
// An empty path if it can't be written.
fs::path cache_folder();

}  // namespace nkat
