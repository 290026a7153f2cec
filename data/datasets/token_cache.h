// The tokens of one data file on disk: a safetensors file, read back through a memory map, so that a million samples
// cost no heap.
//
//   tokens  U32 (tokens)    sample after sample, each id | kTargetBit; one zero more where that makes the number even
//   ends    U64 (samples)   end of each sample, in tokens
//   lines   U64 (samples)   its line in the data file; of a list or CSV its place among the records
//   __metadata__            version "4"; key: what the tokens depend on; summary: JSON; sha256 of the three tensors,
//                           key and summary
//
// It lies in core's cache_folder(), named by its key: the hash of the data file's bytes and of everything that decides
// its tokens, the rules by which records are read included.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/files/atomic_file.h"
#include "core/files/sha256.h"
#include "data/datasets/jsonl_pass.h"
#include "data/datasets/record_counts.h"
#include "data/datasets/sample_encoder.h"
#include "data/formats/safetensors.h"

namespace nkat::data {

// The summary must fit into the header's fixed size with the rest: 30,000 bytes as an escaped JSON string.
class TokenCacheWriter {
 public:
  TokenCacheWriter(const fs::path& path, std::string key);
  void add(std::span<const std::uint32_t> tokens, std::int64_t line);
  void finish(const std::string& summary);  // last; then the file is whole, at temporary_path()
  const fs::path& temporary_path() const { return file_.temporary_path(); }
  void publish() { file_.publish(); }  // without it the file is removed again

 private:
  void append(std::string_view bytes);
  void flush();

  AtomicFile file_;
  std::string key_;
  Sha256 hash_;
  std::string buffer_;
  std::uint64_t tokens_ = 0;
  std::vector<std::uint64_t> ends_;
  std::vector<std::uint64_t> lines_;
};

// By its tensors and metadata keys; says nothing about its content.
bool is_token_cache(const SafetensorsFile& file);

class TokenCache {
 public:
  // FormatError for a file that is cut, damaged, of another version or of another key.
  TokenCache(const fs::path& path, std::string_view key);

  std::int64_t size() const { return static_cast<std::int64_t>(ends_.size()); }
  std::span<const std::uint32_t> sample(std::int64_t index) const;
  std::int64_t line(std::int64_t index) const;
  const std::string& summary() const;

 private:
  SafetensorsFile file_;
  std::span<const std::uint32_t> tokens_;
  std::span<const std::uint64_t> ends_;
  std::span<const std::uint64_t> lines_;
};

struct TokenizedFile {
  TokenCache cache;
  DatasetSummary summary;  // of this file, read once; sha256 is that of its bytes
};

// The tokens of one data file, from its cache or made now. A cache that is damaged or of another version is rebuilt;
// where the folder can't be written, a temporary file takes its place.
TokenizedFile open_tokenized_file(const fs::path& path, const SampleEncoder& encoder, const BadLimit& bad);

}  // namespace nkat::data
