// Files as the rest of the program needs them: bounded reads, memory maps, and writes that are whole or absent.
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

// Opens a regular file for reading; a folder, a device or a missing path is a DataError.
FileDescriptor open_for_reading(const fs::path& path);

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
  // Tells the kernel that these bytes are not needed for now; they stay readable (read again from the file).
  void release(std::size_t offset, std::size_t length) const;

 private:
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

// Replaces `path` by these bytes: temporary name in the same folder, fsync, rename, fsync of the folder.
void write_file_atomically(const fs::path& path, std::string_view bytes);

// A folder that appears whole under its name, or not at all.
//   AtomicFolder folder(path); folder.write("a", bytes); folder.publish();
// Files are written to a temporary sibling and fsynced one by one; publish() renames. Without publish() the
// destructor removes the temporary folder.
class AtomicFolder {
 public:
  explicit AtomicFolder(const fs::path& final_path);
  AtomicFolder(const AtomicFolder&) = delete;
  AtomicFolder& operator=(const AtomicFolder&) = delete;
  ~AtomicFolder();

  const fs::path& temporary_path() const { return temporary_; }
  void write(const std::string& name, std::string_view bytes);
  // Puts the folder in place, atomically, whether or not one of that name is there (it is exchanged, then removed).
  void publish();

 private:
  fs::path final_;
  fs::path temporary_;
  bool published_ = false;
};

// Removes temporary files and folders that an earlier process left in `folder` (names made by this header only).
void remove_stale_temporaries(const fs::path& folder);

// A file that grows line by line; each append is one write(2), so a line is there whole or (after a crash) cut.
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

// Bytes that an unprivileged process may still write in this path's file system.
std::uint64_t free_disk_space(const fs::path& path);

// Creates the folder and its parents; DeviceError if that can't be.
void create_folders(const fs::path& path);

inline constexpr const char* kFolderLockFile = ".lock";

// Holds a folder for this process until destroyed; a second holder gets a DeviceError that names the first one.
class FolderLock {
 public:
  explicit FolderLock(const fs::path& folder);

 private:
  FileDescriptor file_;
};

// A folder for what can be computed again: $NKAT_CACHE_DIR, else $XDG_CACHE_HOME/nkat, else ~/.cache/nkat. Created.
// Empty if none of them can be written.
fs::path cache_folder();

}  // namespace nkat
