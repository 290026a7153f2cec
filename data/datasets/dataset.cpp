#include "data/datasets/dataset.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "core/error.h"
#include "core/files/sha256.h"
#include "core/message.h"

namespace nkat::data {
namespace {

constexpr std::int64_t kRepeatLimit = 10'000;

struct FileAndRepeats {
  std::string path;
  std::int64_t repeats = 1;
};

FileAndRepeats parse_file(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  // A file of just that name wins over the reading as FILE:N.
  if (colon == std::string::npos || fs::exists(text)) return {text, 1};
  FileAndRepeats parsed{text.substr(0, colon), 0};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data() + colon + 1, end, parsed.repeats);
  if (stop != end || stop == text.data() + colon + 1) return {text, 1};
  if (error != std::errc() || parsed.repeats < 1 || parsed.repeats > kRepeatLimit) {
    throw ConfigError(fmt::format(
        "{}: {}", text, expected(fmt::format("FILE:N with N from 1 to {}", kRepeatLimit), text.substr(colon + 1))));
  }
  return parsed;
}

void add(DatasetSummary& sum, const DatasetSummary& file, std::int64_t repeats) {
  sum.RecordCounts::add(file, repeats);
  sum.longest = std::max(sum.longest, file.longest);
  sum.largest_id = std::max(sum.largest_id, file.largest_id);
}

void check_file(const std::string& path, const DatasetSummary& file, std::int64_t vocabulary_size) {
  if (file.target_tokens == 0) {
    throw DataError(
        fmt::format("{}: no record leaves a token to learn: {} records, {} bad, {} dropped as overlong, {} dropped "
                    "without a target; give it an assistant turn or plain text",
                    path, file.records, file.bad_records, file.dropped_overlong, file.dropped_without_target));
  }
  if (file.largest_id >= vocabulary_size) {
    throw DataError(
        fmt::format("{}: the tokenizer gives id {}, the model has {} tokens; tokenizer and model don't belong together",
                    path, file.largest_id, vocabulary_size));
  }
}

}  // namespace

Dataset::Dataset(const DatasetOptions& options, const Tokenizer& tokenizer, const ChatTemplate& chat_template) {
  if (options.files.empty()) throw ConfigError(expected("at least one data file", "none"));
  const SampleEncoder encoder(tokenizer, chat_template, options);
  std::string identity = encoder.identity();
  for (const std::string& text : options.files) {
    const FileAndRepeats file = parse_file(text);
    TokenizedFile tokens = open_tokenized_file(file.path, encoder, {options.max_bad_records, summary_.bad_records});
    check_file(file.path, tokens.summary, options.vocabulary_size);
    add(summary_, tokens.summary, file.repeats);
    identity += fmt::format(" {}:{}", tokens.summary.sha256, file.repeats);
    parts_.push_back(
        {file.path, file.repeats, summary_.samples, tokens.summary.counts_records, std::move(tokens.cache)});
  }
  summary_.sha256 = sha256_hex(identity);
}

const Dataset::Part& Dataset::part_of(std::int64_t& index) const {
  NKAT_INVARIANT(index >= 0 && index < size());
  const auto part = std::ranges::upper_bound(parts_, index, {}, &Part::end);
  const std::int64_t begin = part == parts_.begin() ? 0 : std::prev(part)->end;
  index = (index - begin) % part->cache.size();
  return *part;
}

SampleView Dataset::sample(std::int64_t index) const {
  const Part& part = part_of(index);
  return {part.cache.sample(index)};
}

std::string Dataset::describe(std::int64_t index) const {
  const Part& part = part_of(index);
  const std::int64_t place = part.cache.line(index);
  return part.counts_records ? fmt::format("{}: record {}", part.path, place) : fmt::format("{}:{}", part.path, place);
}

}  // namespace nkat::data
