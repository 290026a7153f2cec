// The tokens of one data file on disk, read back through a memory map, so that a million samples cost no heap.
//
//   u32 tokens, sample after sample (id | kTargetBit) | padding to 8 | u64 end of each sample, in tokens
//   | u64 line of each sample | summary, JSON | footer
//   footer: u64 tokens, u64 samples, u64 bytes of summary, SHA-256 (64 hex digits) of all before it, "NKATTOK1"
//
// A file that is cut or damaged anywhere is a FormatError; who opens it makes it anew.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/files/atomic_file.h"
#include "core/files/sha256.h"

namespace nkat::data {

class TokenCacheWriter {
 public:
  explicit TokenCacheWriter(const fs::path& path);
  void add(std::span<const std::uint32_t> marked, std::int64_t line);
  void finish(std::string_view summary);  // last; then the file is whole and on disk

 private:
  void append(std::string_view bytes);
  void flush();

  AppendFile file_;
  Sha256 hash_;
  std::string buffer_;
  std::uint64_t tokens_ = 0;
  std::vector<std::uint64_t> ends_;
  std::vector<std::uint64_t> lines_;
};

class TokenCache {
 public:
  explicit TokenCache(const fs::path& path);

  std::int64_t size() const { return static_cast<std::int64_t>(ends_.size()); }
  std::span<const std::uint32_t> sample(std::int64_t index) const;
  std::int64_t line(std::int64_t index) const;
  const std::string& summary() const { return summary_; }

 private:
  void check(const std::string& who);

  MappedFile map_;
  std::span<const std::uint32_t> tokens_;
  std::span<const std::uint64_t> ends_;
  std::span<const std::uint64_t> lines_;
  std::string summary_;
};

}  // namespace nkat::data
