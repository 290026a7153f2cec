#include "data/datasets/token_cache.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/message.h"

namespace nkat::data {
namespace {

constexpr const char *kTokens = "tokens", *kEnds = "ends", *kLines = "lines";
constexpr const char *kVersionKey = "version", *kKeyKey = "key", *kSummaryKey = "summary", *kHashKey = "sha256";
constexpr const char* kVersion = "2";
// The header comes first but its sizes are known last: it gets a fixed length.
constexpr std::uint64_t kHeaderBytes = 8 + (16 << 10);
constexpr std::size_t kBuffer = std::size_t{1} << 20;
constexpr std::uint64_t kHashStep = std::uint64_t{16} << 20;

template <class Item>
std::string_view as_bytes(const std::vector<Item>& items) {
  return {reinterpret_cast<const char*>(items.data()), items.size() * sizeof(Item)};
}

TensorInfo tensor(const char* name, DType dtype, std::uint64_t elements, std::uint64_t begin) {
  return {name, dtype, {static_cast<std::int64_t>(elements)}, begin, begin + elements * dtype_size(dtype)};
}

[[noreturn]] void refuse(const SafetensorsFile& file, const std::string& what) {
  throw FormatError(fmt::format("{}: token cache: {}", file.path().string(), what));
}

std::string_view metadata(const SafetensorsFile& file, const char* key) {
  const auto found = file.metadata().find(key);
  if (found == file.metadata().end()) refuse(file, fmt::format("the metadata key '{}' is missing", key));
  return found->second;
}

// A vector of numbers, mapped.
template <class Number>
std::span<const Number> numbers(const SafetensorsFile& file, const char* name, DType dtype) {
  const TensorInfo* info = file.find(name);
  if (info == nullptr || info->dtype != dtype || info->shape.size() != 1)
    refuse(file, fmt::format("a tensor '{}' of type {} and one dimension is missing", name, dtype_name(dtype)));
  const std::span<const std::byte> bytes = file.bytes(*info);
  if (reinterpret_cast<std::uintptr_t>(bytes.data()) % sizeof(Number) != 0)
    refuse(file, fmt::format("the tensor '{}' is not aligned", name));
  return {reinterpret_cast<const Number*>(bytes.data()), bytes.size() / sizeof(Number)};
}

// In steps, so that a large file doesn't stay in memory.
void hash_tensor(const SafetensorsFile& file, const char* name, Sha256& hash) {
  TensorInfo piece = *file.find(name);
  for (const std::uint64_t end = piece.end; piece.begin < end; piece.begin = piece.end) {
    piece.end = std::min(end, piece.begin + kHashStep);
    const auto bytes = file.bytes(piece);
    hash.update({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    file.release(piece);
  }
}

}  // namespace

TokenCacheWriter::TokenCacheWriter(const fs::path& path, std::string key) : file_(path), key_(std::move(key)) {
  file_.append(std::vector<std::byte>(kHeaderBytes));
}

void TokenCacheWriter::append(std::string_view bytes) {
  buffer_ += bytes;
  if (buffer_.size() >= kBuffer) flush();
}

void TokenCacheWriter::flush() {
  hash_.update(buffer_);
  file_.append(std::as_bytes(std::span(buffer_)));
  buffer_.clear();
}

void TokenCacheWriter::add(std::span<const std::uint32_t> tokens, std::int64_t line) {
  append({reinterpret_cast<const char*>(tokens.data()), tokens.size_bytes()});
  tokens_ += tokens.size();
  ends_.push_back(tokens_);
  lines_.push_back(static_cast<std::uint64_t>(line));
}

void TokenCacheWriter::finish(const std::string& summary) {
  const std::uint64_t padding = tokens_ % 2;
  append(std::string(padding * sizeof(std::uint32_t), '\0'));
  append(as_bytes(ends_));
  append(as_bytes(lines_));
  flush();
  hash_.update(key_);
  hash_.update(summary);
  const TensorInfo tokens = tensor(kTokens, DType::kU32, tokens_ + padding, 0);
  const TensorInfo ends = tensor(kEnds, DType::kU64, ends_.size(), tokens.end);
  const TensorInfo lines = tensor(kLines, DType::kU64, lines_.size(), ends.end);
  const std::string header = serialize_safetensors_header(
      {tokens, ends, lines},
      {{kVersionKey, kVersion}, {kKeyKey, key_}, {kSummaryKey, summary}, {kHashKey, hash_.hex()}}, kHeaderBytes);
  file_.replace_start(std::as_bytes(std::span(header)));
}

bool is_token_cache(const SafetensorsFile& file) {
  const auto has = [&](const char* key) { return file.metadata().contains(key); };
  return file.find(kTokens) != nullptr && has(kVersionKey) && has(kKeyKey) && has(kSummaryKey) && has(kHashKey);
}

TokenCache::TokenCache(const fs::path& path, std::string_view key) : file_(path) {
  if (const std::string_view version = metadata(file_, kVersionKey); version != kVersion)
    refuse(file_, "version: " + expected(kVersion, version));
  if (metadata(file_, kKeyKey) != key) refuse(file_, "it is of another data file, tokenizer or template");
  tokens_ = numbers<std::uint32_t>(file_, kTokens, DType::kU32);
  ends_ = numbers<std::uint64_t>(file_, kEnds, DType::kU64);
  lines_ = numbers<std::uint64_t>(file_, kLines, DType::kU64);
  Sha256 hash;
  for (const char* name : {kTokens, kEnds, kLines}) hash_tensor(file_, name, hash);
  hash.update(key);
  hash.update(metadata(file_, kSummaryKey));
  if (hash.hex() != metadata(file_, kHashKey)) refuse(file_, "its bytes are damaged");
  // The hash vouches for the writer's arithmetic; this for a file that somebody made up.
  if (lines_.size() != ends_.size()) refuse(file_, "its numbers of ends and lines differ");
  std::uint64_t before = 0;
  for (const std::uint64_t end : ends_) {
    if (end <= before || end > tokens_.size()) refuse(file_, "its samples don't follow each other");
    before = end;
  }
  if (before + before % 2 != tokens_.size()) refuse(file_, "it has tokens of no sample");
}

const std::string& TokenCache::summary() const { return file_.metadata().at(kSummaryKey); }

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
