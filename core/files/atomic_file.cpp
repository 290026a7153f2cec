#include "core/files/atomic_file.h"

#include <cerrno>
#include <charconv>
#include <fcntl.h>
#include <optional>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "core/error.h"
#include "core/message.h"

namespace nkat {
namespace {

constexpr std::string_view kTemporaryMark = ".nkat-tmp-";

fs::path temporary_sibling(const fs::path& path) {
  static int counter = 0;
  return folder_of(path) / fmt::format("{}{}{}-{}", path.filename().string(), kTemporaryMark, ::getpid(), counter++);
}

void write_new_file(const fs::path& path, std::string_view bytes) {
  const FileDescriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (!file) fail_write(path, "creating the file");
  write_all(file, bytes, path);
  // A failed fsync is never repeated: Linux drops the dirty pages and the next one would succeed.
  if (::fsync(file.get()) != 0) fail_write(path, "fsync");
}

void sync_folder(const fs::path& folder) {
  const fs::path named = folder.empty() ? fs::path(".") : folder;
  const FileDescriptor file(::open(named.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!file || ::fsync(file.get()) != 0) fail_write(named, "fsync of the folder");
}

// The process that a temporary name belongs to (it ends in <process>-<counter>); nothing for any other name.
std::optional<pid_t> process_of(const std::string& name) {
  const std::size_t mark = name.rfind(kTemporaryMark);
  if (mark == std::string::npos) return std::nullopt;
  const char *begin = name.data() + mark + kTemporaryMark.size(), *end = name.data() + name.size();
  pid_t process = 0;
  int counter = 0;
  const auto [dash, error] = std::from_chars(begin, end, process);
  if (error != std::errc() || process <= 0 || dash == end || *dash != '-') return std::nullopt;
  const auto [stop, counter_error] = std::from_chars(dash + 1, end, counter);
  if (counter_error != std::errc() || stop != end) return std::nullopt;
  return process;
}

// Of this name only: other names in the folder may be in use.
void remove_temporaries_of_dead_processes(const fs::path& path) {
  const std::string start = path.filename().string() + std::string(kTemporaryMark);
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder_of(path), ignored)) {
    const std::string name = entry.path().filename().string();
    const std::optional<pid_t> process = name.starts_with(start) ? process_of(name) : std::nullopt;
    if (process && ::kill(*process, 0) != 0 && errno == ESRCH) fs::remove_all(entry.path(), ignored);
  }
}

}  // namespace

void write_file_atomically(const fs::path& path, std::string_view bytes) {
  const fs::path temporary = temporary_sibling(path);
  try {
    write_new_file(temporary, bytes);
    if (::rename(temporary.c_str(), path.c_str()) != 0) fail_write(path, "renaming into place");
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  sync_folder(path.parent_path());
}

AtomicFile::AtomicFile(const fs::path& path) : final_(path), temporary_(temporary_sibling(path)) {
  remove_temporaries_of_dead_processes(path);
  file_ = FileDescriptor(::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (!file_) fail_write(temporary_, "creating the file");
}

AtomicFile::AtomicFile(const fs::path& path, std::uint64_t size) : AtomicFile(path) {
  size_ = size;
  const std::uint64_t free = free_disk_space(temporary_.parent_path());
  if (free < size) {
    throw DeviceError(fmt::format("{}: {}", path.string(),
                                  expected(fmt::format("{} bytes of free disk space", size), fmt::format("{}", free),
                                           "free some, or choose another folder")));
  }
}

AtomicFile::~AtomicFile() {
  if (file_ && !published_) ::unlink(temporary_.c_str());
}

void AtomicFile::append(std::span<const std::byte> bytes) {
  write_all(file_, {reinterpret_cast<const char*>(bytes.data()), bytes.size()}, temporary_);
  written_ += bytes.size();
}

void AtomicFile::replace_start(std::span<const std::byte> bytes) {
  NKAT_INVARIANT(bytes.size() <= written_);
  if (::lseek(file_.get(), 0, SEEK_SET) < 0) fail_write(temporary_, "seeking");
  write_all(file_, {reinterpret_cast<const char*>(bytes.data()), bytes.size()}, temporary_);
  if (::lseek(file_.get(), 0, SEEK_END) < 0) fail_write(temporary_, "seeking");
}

void AtomicFile::publish() {
  NKAT_INVARIANT(written_ == size_.value_or(written_) && !published_);
  if (::fsync(file_.get()) != 0) fail_write(temporary_, "fsync");
  if (::rename(temporary_.c_str(), final_.c_str()) != 0) fail_write(final_, "renaming into place");
  published_ = true;
  sync_folder(final_.parent_path());
}

AtomicFolder::AtomicFolder(const fs::path& final_path) : final_(final_path), temporary_(temporary_sibling(final_path)) {
  remove_temporaries_of_dead_processes(final_path);
  if (::mkdir(temporary_.c_str(), 0777) != 0) fail_write(temporary_, "creating the folder");
}

AtomicFolder::~AtomicFolder() {
  std::error_code ignored;
  if (!published_) fs::remove_all(temporary_, ignored);
}

void AtomicFolder::write(const std::string& name, std::string_view bytes) { write_new_file(temporary_ / name, bytes); }

void AtomicFolder::publish() {
  sync_folder(temporary_);
  const bool replaces = fs::exists(final_);
  if (replaces) {
    if (::renameat2(AT_FDCWD, temporary_.c_str(), AT_FDCWD, final_.c_str(), RENAME_EXCHANGE) != 0) {
      // Some file systems can't exchange; then there is a moment without the folder, but never a half-written one.
      const fs::path old = temporary_sibling(final_);
      if (::rename(final_.c_str(), old.c_str()) != 0) fail_write(final_, "moving the old folder away");
      if (::rename(temporary_.c_str(), final_.c_str()) != 0) fail_write(final_, "renaming into place");
      temporary_ = old;
    }
  } else if (::rename(temporary_.c_str(), final_.c_str()) != 0) {
    fail_write(final_, "renaming into place");
  }
  published_ = true;
  sync_folder(final_.parent_path());
  std::error_code ignored;
  if (replaces) fs::remove_all(temporary_, ignored);
}

void remove_stale_temporaries(const fs::path& folder) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    if (process_of(entry.path().filename().string())) fs::remove_all(entry.path(), ignored);
  }
}

AppendFile::AppendFile(const fs::path& path, std::uint64_t keep_bytes)
    : path_(path), file_(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666)) {
  if (!file_) fail_write(path, "opening for appending");
  if (::ftruncate(file_.get(), static_cast<off_t>(keep_bytes)) != 0) fail_write(path, "cutting");
  if (::lseek(file_.get(), 0, SEEK_END) < 0) fail_write(path, "seeking");
  sync_folder(path.parent_path());
}

void AppendFile::append(std::string_view bytes) { write_all(file_, bytes, path_); }

void AppendFile::sync() {
  if (::fsync(file_.get()) != 0) fail_write(path_, "fsync");
}

}  // namespace nkat
