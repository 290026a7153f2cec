#include "data/datasets/token_cache.h"

#include <cstring>

#include <fmt/format.h>

#include "core/error.h"

namespace nkat::data {
namespace {

constexpr std::string_view kMagic = "NKATTOK1";
constexpr std::size_t kHashDigits = 64;
constexpr std::size_t kCounts = 3 * sizeof(std::uint64_t);
constexpr std::size_t kFooter = kCounts + kHashDigits + kMagic.size();
constexpr std::size_t kBuffer = std::size_t{1} << 20;
constexpr std::size_t kHashStep = std::size_t{16} << 20;

template <class Item>
std::string_view as_bytes(const std::vector<Item>& items) {
  return {reinterpret_cast<const char*>(items.data()), items.size() * sizeof(Item)};
}

std::uint64_t padded(std::uint64_t size) { return (size + 7) / 8 * 8; }

}  // namespace

TokenCacheWriter::TokenCacheWriter(const fs::path& path) : file_(path, 0) {}

void TokenCacheWriter::append(std::string_view bytes) {
  buffer_ += bytes;
  if (buffer_.size() >= kBuffer) flush();
}

void TokenCacheWriter::flush() {
  hash_.update(buffer_);
  file_.append(buffer_);
  buffer_.clear();
}

void TokenCacheWriter::add(std::span<const std::uint32_t> marked, std::int64_t line) {
  append({reinterpret_cast<const char*>(marked.data()), marked.size_bytes()});
  tokens_ += marked.size();
  ends_.push_back(tokens_);
  lines_.push_back(static_cast<std::uint64_t>(line));
}

void TokenCacheWriter::finish(std::string_view summary) {
  const std::uint64_t token_bytes = tokens_ * sizeof(std::uint32_t);
  append(std::string(padded(token_bytes) - token_bytes, '\0'));
  append(as_bytes(ends_));
  append(as_bytes(lines_));
  append(summary);
  append(as_bytes(std::vector<std::uint64_t>{tokens_, ends_.size(), summary.size()}));
  flush();
  file_.append(hash_.hex() + std::string(kMagic));
  file_.sync();
}

TokenCache::TokenCache(const fs::path& path) : map_(path) { check(path.string()); }

void TokenCache::check(const std::string& who) {
  const auto fail = [&](const char* what) -> void { throw FormatError(fmt::format("{}: token cache {}", who, what)); };
  const std::string_view file(reinterpret_cast<const char*>(map_.bytes().data()), map_.bytes().size());
  if (file.size() < kFooter || !file.ends_with(kMagic)) fail("without its end");
  const std::size_t hashed = file.size() - kHashDigits - kMagic.size();
  Sha256 hash;
  for (std::size_t done = 0; done < hashed; done += kHashStep) {
    const std::size_t step = std::min(kHashStep, hashed - done);
    hash.update(file.substr(done, step));
    map_.release(done, step);
  }
  if (hash.hex() != file.substr(hashed, kHashDigits)) fail("with damaged bytes");

  std::uint64_t counts[3];
  std::memcpy(counts, file.data() + file.size() - kFooter, sizeof counts);
  const auto [token_count, sample_count, summary_size] = counts;
  // The hash vouches for the writer's arithmetic; this for a file that somebody made up.
  const std::uint64_t body = file.size() - kFooter;
  if (token_count > body / 4 || sample_count > body / 16 || summary_size > body ||
      padded(token_count * 4) + sample_count * 16 + summary_size != body) {
    fail("whose sizes don't match");
  }
  const char* position = file.data();
  tokens_ = {reinterpret_cast<const std::uint32_t*>(position), token_count};
  position += padded(token_count * 4);
  ends_ = {reinterpret_cast<const std::uint64_t*>(position), sample_count};
  position += sample_count * sizeof(std::uint64_t);
  lines_ = {reinterpret_cast<const std::uint64_t*>(position), sample_count};
  position += sample_count * sizeof(std::uint64_t);
  summary_.assign(position, summary_size);
  std::uint64_t before = 0;
  for (const std::uint64_t end : ends_) {
    if (end <= before || end > token_count) fail("whose samples don't follow each other");
    before = end;
  }
  if (before != token_count) fail("with tokens of no sample");
}

std::span<const std::uint32_t> TokenCache::sample(std::int64_t index) const {
  const auto i = static_cast<std::size_t>(index);
  NKAT_INVARIANT(i < ends_.size());
  const std::uint64_t begin = i == 0 ? 0 : ends_[i - 1];
  return tokens_.subspan(begin, ends_[i] - begin);
}

std::int64_t TokenCache::line(std::int64_t index) const {
  NKAT_INVARIANT(static_cast<std::size_t>(index) < lines_.size());
  return static_cast<std::int64_t>(lines_[static_cast<std::size_t>(index)]);
}

}  // namespace nkat::data
