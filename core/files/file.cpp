#include "core/files/file.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>

#include "core/error.h"
#include "core/message.h"

namespace nkat {
namespace {

std::string system_message() { return std::strerror(errno); }

std::uint64_t size_of(const FileDescriptor& file, const fs::path& path) {
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) {
    throw DataError(fmt::format("{}: its size can't be read: {}", path.string(), system_message()));
  }
  if (!S_ISREG(status.st_mode)) {
    throw DataError(fmt::format("{}: {}", path.string(),
                                expected("a file", S_ISDIR(status.st_mode) ? "a folder" : "a device or pipe")));
  }
  return static_cast<std::uint64_t>(status.st_size);
}

// What some programs leave in the place of a file that they haven't fetched: a short text that begins like this.
struct Pointer {
  std::string_view beginning, program, command;
};
constexpr Pointer kPointers[] = {{"version https://git-lfs.github.com/spec/", "git-lfs", "git lfs pull"},
                                 {"version https://hawser.github.com/spec/", "git-lfs", "git lfs pull"},
                                 {"# xet version", "git-xet", "git xet checkout"},
                                 {"/annex/objects/", "git-annex", "git annex get"}};
constexpr std::uint64_t kLongestPointer = 1024;  // git-lfs, docs/spec.md

void refuse_pointer(const FileDescriptor& file, std::uint64_t size, const fs::path& path) {
  if (size > kLongestPointer) return;
  std::array<char, 64> bytes{};
  const ssize_t count = ::pread(file.get(), bytes.data(), bytes.size(), 0);
  const std::string_view beginning(bytes.data(), static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
  for (const Pointer& pointer : kPointers) {
    if (!beginning.starts_with(pointer.beginning)) continue;
    throw DataError(
        fmt::format("{}: this is a {} pointer of {} bytes, not the file; run `{}` in its folder, or download it",
                    path.string(), pointer.program, size, pointer.command));
  }
}

}  // namespace

FileDescriptor::FileDescriptor(FileDescriptor&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

FileDescriptor::~FileDescriptor() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void fail_write(const fs::path& path, const char* what) {
  const int code = errno;
  const char* advice = code == ENOSPC || code == EDQUOT ? "; free some space and run the same command again" : "";
  throw DeviceError(fmt::format("{}: {} failed: {}{}", path.string(), what, std::strerror(code), advice));
}

void write_all(const FileDescriptor& file, std::string_view bytes, const fs::path& path) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(file.get(), bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail_write(path, "writing");
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
}

FileDescriptor open_for_reading(const fs::path& path) {
  // O_NONBLOCK: opening a FIFO by mistake must not hang.
  FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) throw DataError(fmt::format("{}: can't be opened: {}", path.string(), system_message()));
  refuse_pointer(file, size_of(file, path), path);
  return file;
}

std::size_t read_bytes(const FileDescriptor& file, std::span<char> out, const fs::path& path) {
  std::size_t done = 0;
  while (done < out.size()) {
    const ssize_t count = ::read(file.get(), out.data() + done, out.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw DataError(fmt::format("{}: can't be read: {}", path.string(), system_message()));
    if (count == 0) break;
    done += static_cast<std::size_t>(count);
  }
  return done;
}

std::string read_file(const fs::path& path, std::uint64_t limit) {
  const FileDescriptor file = open_for_reading(path);
  const std::uint64_t size = size_of(file, path);
  if (size > limit) {
    throw DataError(fmt::format("{}: {}", path.string(),
                                expected(fmt::format("at most {} bytes", limit), fmt::format("{}", size))));
  }
  std::string bytes(size, '\0');
  if (read_bytes(file, bytes, path) < bytes.size())
    throw DataError(fmt::format("{}: it became shorter while it was read", path.string()));
  return bytes;
}

MappedFile::MappedFile(const fs::path& path) {
  const FileDescriptor file = open_for_reading(path);
  size_ = size_of(file, path);
  if (size_ == 0) return;
  void* address = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (address == MAP_FAILED) {
    throw DataError(fmt::format("{}: its {} bytes can't be mapped: {}", path.string(), size_, system_message()));
  }
  data_ = static_cast<const std::byte*>(address);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

void MappedFile::release(std::size_t offset, std::size_t length) const {
  NKAT_INVARIANT(offset <= size_ && length <= size_ - offset);
  // Only whole pages inside the range, so that a neighbor's bytes stay resident.
  const std::size_t page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const std::size_t begin = (offset + page - 1) / page * page;
  const std::size_t end = (offset + length) / page * page;
  if (begin < end) ::madvise(const_cast<std::byte*>(data_) + begin, end - begin, MADV_DONTNEED);
}

fs::path folder_of(const fs::path& file) { return file.has_parent_path() ? file.parent_path() : fs::path("."); }

std::uint64_t free_disk_space(const fs::path& path) {
  struct statvfs status {};
  if (::statvfs(path.c_str(), &status) != 0) {
    throw DataError(fmt::format("{}: its free disk space can't be read: {}", path.string(), std::strerror(errno)));
  }
  return static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize;
}

void create_folders(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) throw DeviceError(fmt::format("{}: the folder can't be created: {}", path.string(), error.message()));
}

FolderLock::FolderLock(const fs::path& folder) {
  const fs::path path = folder / kFolderLockFile;
  file_ = FileDescriptor(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
  if (!file_) fail_write(path, "creating the lock");
  if (::flock(file_.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) fail_write(path, "locking (does this file system have locks?)");
    char holder[32] = {};
    const ssize_t count = ::read(file_.get(), holder, sizeof holder - 1);
    throw DeviceError(fmt::format("{}: in use by another process ({}); wait for it, stop it, or choose another folder",
                                  folder.string(), count > 0 ? holder : "its number is not known"));
  }
  // The previous holder may have unlinked the file between open and flock; then the lock is on an orphaned inode.
  struct stat locked {
  }, seen{};
  if (::fstat(file_.get(), &locked) != 0 || ::stat(path.c_str(), &seen) != 0 || locked.st_ino != seen.st_ino) {
    throw DeviceError(
        fmt::format("{}: its lock was removed by another process just now; start again", folder.string()));
  }
  const std::string name = fmt::format("process {}", ::getpid());
  if (::ftruncate(file_.get(), 0) != 0) fail_write(path, "cutting the lock");
  write_all(file_, name, path);
}

fs::path cache_folder() {
  fs::path folder;
  if (const char* own = std::getenv("NKAT_CACHE_DIR"); own != nullptr && *own != '\0') {
    folder = own;
  } else if (const char* shared = std::getenv("XDG_CACHE_HOME"); shared != nullptr && *shared == '/') {
    folder = fs::path(shared) / "nkat";
  } else if (const char* home = std::getenv("HOME"); home != nullptr && *home == '/') {
    folder = fs::path(home) / ".cache" / "nkat";
  }
  std::error_code error;
  if (!folder.empty()) fs::create_directories(folder, error);
  return error || ::access(folder.c_str(), W_OK) != 0 ? fs::path() : folder;
}

}  // namespace nkat
