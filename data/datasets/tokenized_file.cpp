#include "data/datasets/tokenized_file.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/cli/log.h"
#include "core/error.h"
#include "core/files/sha256.h"
#include "core/json.h"
#include "core/utf8.h"
#include "data/datasets/jsonl_pass.h"

namespace nkat::data {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char *kLongest = "longest", *kLargestId = "largest_id", *kSha256 = "sha256";
constexpr std::size_t kLongestMessage = 350;  // bytes, so that a cache's header holds the summary

std::string summary_text(const DatasetSummary& summary) {
  DatasetSummary shortened = summary;
  for (std::string& message : shortened.bad_messages) message = ellipsize(message, kLongestMessage);
  Json json = to_json(static_cast<const RecordCounts&>(shortened));
  json[kLongest] = summary.longest;
  json[kLargestId] = summary.largest_id;
  json[kSha256] = summary.sha256;
  return dump_json(json);
}

DatasetSummary summary_from(const std::string& text, const std::string& where) {
  const Json json = parse_json(text, where);
  const JsonObject object(json, where);
  DatasetSummary summary{record_counts_from(object)};
  summary.longest = object.integer(kLongest);
  summary.largest_id = object.integer(kLargestId);
  summary.sha256 = object.string(kSha256);
  return summary;
}

// A data file to be tokenized.
struct Source {
  const fs::path& path;
  const SampleEncoder& encoder;
  std::int64_t bad_allowed;
  std::string sha256;  // of its bytes

  std::string key() const { return sha256_hex(sha256 + encoder.identity()); }
};

DatasetSummary tokenize(const Source& source, TokenCacheWriter& writer) {
  JsonlReader reader(source.path);
  BadRecords bad(source.bad_allowed);
  std::int64_t longest = 0;
  std::uint32_t largest_id = 0;
  DatasetSummary summary{encode_records(reader, source.encoder, bad, [&](const EncodedRecord& one) {
    if (!one.is_sample) return;
    writer.add(one.tokens, one.place.line);
    longest = std::max(longest, static_cast<std::int64_t>(one.tokens.size()));
    for (const std::uint32_t token : one.tokens) largest_id = std::max(largest_id, token & ~kTargetBit);
  })};
  summary.longest = longest;
  summary.largest_id = largest_id;
  summary.sha256 = reader.sha256();
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

TokenizedFile open_tokenized_file(const fs::path& path, const SampleEncoder& encoder, std::int64_t bad_allowed) {
  const Source source{path, encoder, bad_allowed, sha256_of_file(path)};
  const fs::path folder = cache_folder();
  const std::string name = fmt::format("tokens-{}.safetensors", source.key());
  if (!folder.empty()) {
    if (std::optional<TokenizedFile> tokens = open_cached(folder / name, source.key())) {
      const DatasetSummary& summary = tokens->summary;
      if (summary.bad_records > bad_allowed) refuse_bad_records(summary.bad_records, bad_allowed, summary.bad_messages);
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
