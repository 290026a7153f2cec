#include "data/datasets/token_cache.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/cli/log.h"
#include "core/error.h"
#include "core/json.h"
#include "core/message.h"
#include "core/utf8.h"
#include "data/datasets/jsonl_pass.h"
#include "data/datasets/open_records.h"

namespace nkat::data {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char *kTokens = "tokens", *kEnds = "ends", *kLines = "lines";
constexpr const char *kVersionKey = "version", *kKeyKey = "key", *kSummaryKey = "summary", *kHashKey = "sha256";
constexpr const char* kVersion = "4";
// How records are read: another text for other rules, so that no cache of older ones is taken.
constexpr const char* kRecordRules = " records 2";
// The header comes first but its sizes are known last: it gets a fixed length.
constexpr std::uint64_t kHeaderBytes = 8 + (32 << 10);
constexpr const char *kLongest = "longest", *kLargestId = "largest_id", *kCountsRecords = "counts_records";
constexpr std::size_t kLongestMessage = 350;  // bytes, so that a cache's header holds the summary
constexpr std::size_t kLongestChange = 1200;
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

std::string summary_text(const DatasetSummary& summary) {
  DatasetSummary shortened = summary;
  for (std::string& message : shortened.bad_messages) message = ellipsize(message, kLongestMessage);
  shortened.changed_text = ellipsize(shortened.changed_text, kLongestChange);
  Json json = to_json(static_cast<const RecordCounts&>(shortened));
  json[kLongest] = summary.longest;
  json[kLargestId] = summary.largest_id;
  json[kCountsRecords] = summary.counts_records;
  json[kHashKey] = summary.sha256;
  return dump_json(json);
}

DatasetSummary summary_from(const std::string& text, const std::string& where) {
  const Json json = parse_json(text, where);
  const JsonObject object(json, where);
  DatasetSummary summary{record_counts_from(object)};
  summary.longest = object.integer(kLongest);
  summary.largest_id = object.integer(kLargestId);
  summary.counts_records = object.boolean(kCountsRecords);
  summary.sha256 = object.string(kHashKey);
  return summary;
}

// A data file to be tokenized.
struct Source {
  const fs::path& path;
  const SampleEncoder& encoder;
  BadLimit bad;
  std::string sha256;  // of its bytes

  std::string key() const { return sha256_hex(sha256 + encoder.identity() + kRecordRules); }
};

DatasetSummary tokenize(const Source& source, TokenCacheWriter& writer) {
  const std::unique_ptr<RecordSource> records = open_records(source.path);
  BadRecords bad(source.bad);
  std::int64_t longest = 0;
  std::uint32_t largest_id = 0;
  DatasetSummary summary{encode_records(*records, source.encoder, bad, [&](const EncodedRecord& one) {
    if (!one.is_sample) return;
    writer.add(one.tokens, one.place.number);
    longest = std::max(longest, static_cast<std::int64_t>(one.tokens.size()));
    for (const std::uint32_t token : one.tokens) largest_id = std::max(largest_id, token & ~kTargetBit);
  })};
  summary.longest = longest;
  summary.largest_id = largest_id;
  summary.counts_records = records->counts_records();
  summary.sha256 = records->sha256();
  if (summary.sha256 != source.sha256)
    throw DataError(source.path.string() + ": it changed while it was read; run again");
  writer.finish(summary_text(summary));
  return summary;
}

std::optional<TokenizedFile> open_cached(const fs::path& cached, const std::string& key) {
  if (!fs::exists(cached)) return std::nullopt;
  try {
    TokenCache cache(cached, key);
    DatasetSummary summary = summary_from(cache.summary(), cached.string());
    return TokenizedFile{std::move(cache), std::move(summary)};
  } catch (const Error& error) {
    log::warning(fmt::format("{}; it is rebuilt", error.what()));
    return std::nullopt;
  }
}

// keep: under the name `cached`; otherwise the file has no name when this returns, and is gone when it is closed.
TokenizedFile make(const Source& source, const fs::path& cached, bool keep) {
  TokenCacheWriter writer(cached, source.key());
  DatasetSummary summary = tokenize(source, writer);
  TokenCache cache(writer.temporary_path(), source.key());
  if (keep) writer.publish();
  return {std::move(cache), std::move(summary)};
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

TokenizedFile open_tokenized_file(const fs::path& path, const SampleEncoder& encoder, const BadLimit& bad) {
  const Source source{path, encoder, bad, sha256_of_file(path)};
  const fs::path folder = cache_folder();
  const std::string name = fmt::format("tokens-{}.safetensors", source.key());
  if (!folder.empty()) {
    if (std::optional<TokenizedFile> tokens = open_cached(folder / name, source.key())) {
      bad.check(tokens->summary.bad_records, tokens->summary.bad_messages);
      return std::move(*tokens);
    }
    try {
      return make(source, folder / name, /*keep=*/true);
    } catch (const DeviceError& error) {
      log::warning(fmt::format("{}; the tokens go to a temporary file instead", error.what()));
    }
  }
  return make(source, fs::temp_directory_path() / name, /*keep=*/false);
}

}  // namespace nkat::data
