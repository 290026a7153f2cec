#include "core/files/file.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>

#include "core/error.h"

namespace nkat {
namespace {

std::string system_message() { return std::strerror(errno); }

std::uint64_t size_of(const FileDescriptor& file, const fs::path& path) {
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) {
    throw DataError(fmt::format("{}: its size can't be read: {}", path.string(), system_message()));
  }
  if (!S_ISREG(status.st_mode)) {
    throw DataError(fmt::format("{}: a file was required, found a {}", path.string(),
                                S_ISDIR(status.st_mode) ? "folder" : "device or pipe"));
  }
  return static_cast<std::uint64_t>(status.st_size);
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

FileDescriptor open_for_reading(const fs::path& path) {
  // O_NONBLOCK: opening a FIFO by mistake must not hang.
  FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) throw DataError(fmt::format("{}: can't be opened: {}", path.string(), system_message()));
  size_of(file, path);
  return file;
}

std::string read_file(const fs::path& path, std::uint64_t limit) {
  const FileDescriptor file = open_for_reading(path);
  const std::uint64_t size = size_of(file, path);
  if (size > limit) {
    throw DataError(fmt::format("{}: at most {} bytes were expected, found {}", path.string(), limit, size));
  }
  std::string bytes(size, '\0');
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t count = ::read(file.get(), bytes.data() + done, bytes.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw DataError(fmt::format("{}: can't be read: {}", path.string(), system_message()));
    if (count == 0) throw DataError(fmt::format("{}: it became shorter while it was read", path.string()));
    done += static_cast<std::size_t>(count);
  }
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

}  // namespace nkat
