#include "data/formats/chunked_file.h"

#include <algorithm>
#include <span>

#include "core/signals.h"

namespace nkat::data {
namespace {

constexpr std::uint64_t kChunk = std::uint64_t{1} << 20;
constexpr std::uint64_t kSmallest = 4096;  // of a file that says it is empty, or grows

}  // namespace

ChunkedFile::ChunkedFile(const fs::path& path)
    : path_(path), file_(open_for_reading(path)), size_(fs::file_size(path)) {}

bool ChunkedFile::read_more() {
  buffer_.erase(0, position_);
  position_ = 0;
  const std::size_t before = buffer_.size();
  const std::uint64_t left = size_ - std::min(size_, bytes_read_);
  buffer_.resize(before + std::clamp(left + 1, kSmallest, kChunk));
  buffer_.resize(before + read_bytes(file_, std::span(buffer_).subspan(before), path_));
  bytes_read_ += buffer_.size() - before;
  hash_.update(std::string_view(buffer_).substr(before));
  return buffer_.size() > before;
}

std::string sha256_of_file(const fs::path& path) {
  ChunkedFile file(path);
  while (file.read_more()) {
    throw_if_stop_requested();
    file.take(file.rest().size());
  }
  return file.sha256();
}

}  // namespace nkat::data
