#include "data/datasets/tokenized_file.h"

#include <chrono>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/cli/log.h"
#include "core/cli/progress.h"
#include "core/error.h"
#include "core/json.h"
#include "core/signals.h"
#include "data/datasets/record.h"
#include "data/formats/jsonl.h"

namespace nkat::data {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::uint64_t kProgressFrom = 8 << 20;  // bytes of a file that are worth a progress bar
constexpr std::size_t kBadMessages = 5;
constexpr const char* kTemporaryMark = ".nkat-tokens-";

Json to_json(const DatasetSummary& summary) {
  return {{"records", summary.records},
          {"bad_records", summary.bad_records},
          {"cut", summary.cut},
          {"dropped_overlong", summary.dropped_overlong},
          {"dropped_without_target", summary.dropped_without_target},
          {"rendered", summary.rendered},
          {"samples", summary.samples},
          {"tokens", summary.tokens},
          {"target_tokens", summary.target_tokens},
          {"longest", summary.longest},
          {"largest_id", summary.largest_id},
          {"kinds", summary.kinds},
          {"labels", summary.labels},
          {"bad_messages", summary.bad_messages},
          {"sha256", summary.sha256}};
}

DatasetSummary summary_from(const std::string& text, const std::string& who) {
  const Json json = parse_json(text, who);
  try {
    DatasetSummary summary;
    summary.records = json.at("records");
    summary.bad_records = json.at("bad_records");
    summary.cut = json.at("cut");
    summary.dropped_overlong = json.at("dropped_overlong");
    summary.dropped_without_target = json.at("dropped_without_target");
    summary.rendered = json.at("rendered");
    summary.samples = json.at("samples");
    summary.tokens = json.at("tokens");
    summary.target_tokens = json.at("target_tokens");
    summary.longest = json.at("longest");
    summary.largest_id = json.at("largest_id");
    summary.kinds = json.at("kinds").get<std::map<std::string, std::int64_t>>();
    summary.labels = json.at("labels").get<std::map<std::string, std::int64_t>>();
    summary.bad_messages = json.at("bad_messages").get<std::vector<std::string>>();
    summary.sha256 = json.at("sha256");
    return summary;
  } catch (const nlohmann::json::exception& error) {
    throw FormatError(fmt::format("{}: token cache with an unreadable summary: {}", who, error.what()));
  }
}

[[noreturn]] void refuse_bad_records(const std::vector<std::string>& messages, std::int64_t count,
                                     std::int64_t allowed) {
  if (count == 1 && allowed == 0)
    throw DataError(messages[0] + " (--max-bad-records N leaves up to N such records out)");
  throw DataError(fmt::format("{} bad records, at most {} may be left out (--max-bad-records):\n  {}", count, allowed,
                              fmt::join(messages, "\n  ")));
}

// One pass over a file into a cache.
class FilePass {
 public:
  FilePass(const fs::path& path, const SampleEncoder& encoder, std::int64_t bad_allowed, const fs::path& cache)
      : reader_(path), encoder_(encoder), bad_allowed_(bad_allowed), writer_(cache) {
    if (reader_.file_size() >= kProgressFrom) {
      progress_.emplace("reading " + path.filename().string(), reader_.file_size());
    }
  }

  DatasetSummary run(const std::string& expected_sha256, const fs::path& path) {
    while (const std::optional<JsonlLine> line = reader_.next()) {
      throw_if_stop_requested();
      ++summary_.records;
      add(*line);
      if (progress_) progress_->update(reader_.bytes_read(), fmt::format("{} records", summary_.records));
    }
    summary_.sha256 = reader_.sha256();
    if (summary_.sha256 != expected_sha256)
      throw DataError(path.string() + ": it changed while it was read; run again");
    writer_.finish(dump_json(to_json(summary_)));
    return summary_;
  }

 private:
  void add(const JsonlLine& line) {
    const std::string where = reader_.where(line.number);
    Record record;
    try {
      if (!line.complaint.empty()) throw FormatError(where + ": " + line.complaint);
      record = parse_record(line.text, where);
    } catch (const FormatError& error) {
      ++summary_.bad_records;
      if (summary_.bad_messages.size() < kBadMessages) summary_.bad_messages.push_back(error.what());
      if (summary_.bad_records > bad_allowed_)
        refuse_bad_records(summary_.bad_messages, summary_.bad_records, bad_allowed_);
      return;
    }
    ++summary_.kinds[kind_name(record.kind)];
    if (!record.label.empty()) ++summary_.labels[record.label];
    summary_.rendered += record.was_rendered ? 1 : 0;
    std::vector<std::uint32_t> marked = encoder_.encode(record);
    const TruncationResult fate = encoder_.fit(marked, where);
    summary_.cut += fate == TruncationResult::kCut ? 1 : 0;
    summary_.dropped_overlong += fate == TruncationResult::kDroppedOverlong ? 1 : 0;
    summary_.dropped_without_target += fate == TruncationResult::kDroppedWithoutTarget ? 1 : 0;
    if (fate == TruncationResult::kKept || fate == TruncationResult::kCut) keep(marked, line.number);
  }

  void keep(const std::vector<std::uint32_t>& marked, std::int64_t line) {
    writer_.add(marked, line);
    ++summary_.samples;
    summary_.tokens += static_cast<std::int64_t>(marked.size());
    summary_.target_tokens += count_targets(marked);
    summary_.longest = std::max(summary_.longest, static_cast<std::int64_t>(marked.size()));
    for (const std::uint32_t one : marked) {
      summary_.largest_id = std::max(summary_.largest_id, static_cast<std::int64_t>(one & ~kTargetBit));
    }
  }

  JsonlReader reader_;
  const SampleEncoder& encoder_;
  std::int64_t bad_allowed_;
  TokenCacheWriter writer_;
  DatasetSummary summary_;
  std::optional<ProgressBar> progress_;
};

// What a process left behind when it was killed; a day keeps clear of those still at work.
void remove_old_temporaries(const fs::path& folder) {
  std::error_code ignored;
  const auto limit = fs::file_time_type::clock::now() - std::chrono::hours(24);
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    const bool ours = entry.path().filename().string().find(kTemporaryMark) != std::string::npos;
    if (ours && entry.last_write_time(ignored) < limit) fs::remove(entry.path(), ignored);
  }
}

// A file name that no other process and no other call uses.
fs::path temporary_name(const fs::path& folder) {
  static int counter = 0;
  const auto now = std::chrono::system_clock::now().time_since_epoch().count();
  return folder / fmt::format("{}{}-{}", kTemporaryMark, now, counter++);
}

struct RemoveAtEnd {
  fs::path path;
  ~RemoveAtEnd() {
    std::error_code ignored;
    if (!path.empty()) fs::remove(path, ignored);
  }
};

std::optional<TokenizedFile> open_cached(const fs::path& cached) {
  if (!fs::exists(cached)) return std::nullopt;
  try {
    TokenCache cache(cached);
    DatasetSummary summary = summary_from(cache.summary(), cached.string());
    return TokenizedFile{std::move(cache), std::move(summary)};
  } catch (const Error& error) {
    log::warning(fmt::format("{}; it is made again", error.what()));
    return std::nullopt;
  }
}

}  // namespace

TokenizedFile open_tokenized_file(const fs::path& path, const SampleEncoder& encoder, std::int64_t bad_allowed) {
  const std::string file_sha256 = sha256_of_file(path);
  const fs::path folder = cache_folder();
  const fs::path cached = folder / fmt::format("tokens-{}.bin", sha256_hex(file_sha256 + encoder.identity()));
  if (!folder.empty()) {
    if (std::optional<TokenizedFile> tokens = open_cached(cached)) {
      const DatasetSummary& summary = tokens->summary;
      if (summary.bad_records > bad_allowed) refuse_bad_records(summary.bad_messages, summary.bad_records, bad_allowed);
      return std::move(*tokens);
    }
  }
  const auto make = [&](const fs::path& target_folder, bool keep) -> TokenizedFile {
    RemoveAtEnd temporary{temporary_name(target_folder)};
    FilePass pass(path, encoder, bad_allowed, temporary.path);
    DatasetSummary summary = pass.run(file_sha256, path);
    TokenCache cache(temporary.path);
    if (keep) fs::rename(temporary.path, cached);
    return {std::move(cache), std::move(summary)};
  };
  if (!folder.empty()) {
    remove_old_temporaries(folder);
    try {
      return make(folder, /*keep=*/true);
    } catch (const DeviceError& error) {
      log::warning(fmt::format("{}; the tokens go to a temporary file instead", error.what()));
    } catch (const fs::filesystem_error& error) {
      log::warning(fmt::format("{}; the tokens go to a temporary file instead", error.what()));
    }
  }
  return make(fs::temp_directory_path(), /*keep=*/false);
}

}  // namespace nkat::data
