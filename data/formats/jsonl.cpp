#include "data/formats/jsonl.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/message.h"
#include "core/signals.h"
#include "core/utf8.h"

namespace nkat::data {
namespace {

constexpr std::size_t kChunk = std::size_t{1} << 20;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

// Appends up to one chunk to the buffer; false at the end of the file.
bool read_chunk(const FileDescriptor& file, std::string& buffer, const fs::path& path) {
  const std::size_t before = buffer.size();
  buffer.resize(before + kChunk);
  buffer.resize(before + read_bytes(file, std::span(buffer).subspan(before), path));
  return buffer.size() > before;
}

}  // namespace

JsonlReader::JsonlReader(const fs::path& path)
    : path_(path), file_(open_for_reading(path)), file_size_(fs::file_size(path)) {
  fill();
  check_beginning();
}

void JsonlReader::check_beginning() {
  const std::string_view bytes = buffer_;
  if (bytes.starts_with("\xFF\xFE") || bytes.starts_with("\xFE\xFF")) {
    throw DataError(path_.string() + ": " + expected("UTF-8", "UTF-16", "convert it with iconv -f UTF-16 -t UTF-8"));
  }
  if (bytes.starts_with(kByteOrderMark)) position_ = kByteOrderMark.size();
  const std::size_t first = bytes.find_first_not_of(" \t\r\n", position_);
  if (first != std::string_view::npos && bytes[first] == '[') {
    throw DataError(path_.string() + ": " +
                    expected("one JSON object per line", "one JSON list", "convert it with jq -c '.[]'"));
  }
}

bool JsonlReader::fill() {
  buffer_.erase(0, position_);
  position_ = 0;
  const std::size_t before = buffer_.size();
  if (!read_chunk(file_, buffer_, path_)) return false;
  bytes_read_ += buffer_.size() - before;
  hash_.update(std::string_view(buffer_).substr(before));
  return true;
}

// Puts the next line into line_; of one that is too long only the beginning is kept.
bool JsonlReader::take_line(bool& too_long) {
  line_.clear();
  too_long = false;
  bool any = false;
  while (position_ < buffer_.size() || fill()) {
    any = true;
    const std::size_t newline = buffer_.find('\n', position_);
    const std::size_t end = newline == std::string::npos ? buffer_.size() : newline;
    if (!too_long) line_.append(buffer_, position_, end - position_);
    if (line_.size() > kLineLimit) {
      too_long = true;
      line_.resize(1);
    }
    position_ = newline == std::string::npos ? end : end + 1;
    if (newline != std::string::npos) break;
  }
  if (!line_.empty() && line_.back() == '\r') line_.pop_back();
  return any;
}

std::optional<JsonlLine> JsonlReader::next() {
  bool too_long = false;
  while (take_line(too_long)) {
    ++number_;
    if (too_long)
      return JsonlLine{
          number_, {}, expected(fmt::format("a line of at most {} MiB", kLineLimit >> 20), "a longer one")};
    if (line_.find_first_not_of(" \t\r") == std::string::npos) continue;
    if (const std::size_t bad = find_invalid_utf8(line_); bad != std::string::npos) {
      return JsonlLine{number_, {}, expected("UTF-8", fmt::format("other bytes at byte {} of the line", bad + 1))};
    }
    return JsonlLine{number_, line_, {}};
  }
  return std::nullopt;
}

std::string JsonlReader::where(std::int64_t number) const { return fmt::format("{}:{}", path_.string(), number); }

std::string sha256_of_file(const fs::path& path) {
  const FileDescriptor file = open_for_reading(path);
  Sha256 hash;
  for (std::string chunk; read_chunk(file, chunk, path); chunk.clear()) {
    throw_if_stop_requested();
    hash.update(chunk);
  }
  return hash.hex();
}

}  // namespace nkat::data
