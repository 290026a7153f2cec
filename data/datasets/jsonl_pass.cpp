#include "data/datasets/jsonl_pass.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/cli/log.h"
#include "core/cli/progress.h"
#include "core/signals.h"
#include "core/utf8.h"

namespace nkat::data {
namespace {

constexpr std::uint64_t kProgressFrom = 8 << 20;  // bytes of a file that are worth a progress bar
constexpr std::size_t kChangedTextShown = 400;    // bytes of each of two texts, their ends

struct RecordAndSample {
  Record record;
  Sample sample;
};

// A record that its template can't render is a bad one.
RecordAndSample parse_and_encode(std::string_view line, const std::string& where, const SampleEncoder& encoder,
                                 SampleEncoder::ChangedTexts changed_texts) {
  RecordAndSample parsed{parse_record(line, where), {}};
  try {
    parsed.sample = encoder.encode(parsed.record, changed_texts);
  } catch (const DataError& error) {
    throw DataError(fmt::format("{}: {}", where, error.what()));
  }
  return parsed;
}

// Both texts from shortly before the first byte in which they differ.
std::string describe(const ChangedText& texts, const std::string& where) {
  constexpr std::size_t kBefore = 40;
  const auto first = std::ranges::mismatch(texts.alone, texts.followed).in1;
  const auto differs = static_cast<std::size_t>(first - texts.alone.begin());
  std::size_t begin = differs - std::min(kBefore, differs);
  while (begin > 0 && (static_cast<unsigned char>(texts.alone[begin]) & 0xC0) == 0x80) --begin;
  const auto shown = [&](const std::string& text) {
    return ellipsize(std::string_view(text).substr(begin), kChangedTextShown);
  };
  return fmt::format("{}: '{}' becomes '{}'", where, shown(texts.alone), shown(texts.followed));
}

bool is_context_answer(const Turn& turn) { return turn.role == Role::kAssistant && !turn.is_target; }

}  // namespace

void BadLimit::check(std::int64_t count, const std::vector<std::string>& messages) const {
  if (before_ + count <= allowed_) return;
  if (count == 1 && allowed_ == 0 && !messages.empty())
    throw DataError(messages[0] + " (--max-bad-records N leaves up to N such records out)");
  throw DataError(fmt::format("{} bad records, at most {} may be left out (--max-bad-records){}{}", before_ + count,
                              allowed_, messages.empty() ? "" : ":\n  ", fmt::join(messages, "\n  ")));
}

void BadRecords::add(const std::string& message) {
  ++count_;
  if (messages_.size() < messages_kept_) messages_.push_back(message);
  limit_.check(count_, messages_);
  if (log_ == Log::kEach) log::warning(fmt::format("left out: {}", message));
}

void for_each_record(RecordSource& source, const std::function<bool(const RecordText&, const RecordPlace&)>& visit) {
  std::optional<ProgressBar> progress;
  if (source.file_size() >= kProgressFrom) {
    progress.emplace("reading " + source.path().filename().string(), source.file_size());
  }
  std::int64_t records = 0;
  while (const std::optional<RecordText> record = source.next()) {
    throw_if_stop_requested();
    ++records;
    if (!visit(*record, {source.where(*record), record->number})) return;
    if (progress) progress->update(source.bytes_read(), fmt::format("{} records", records));
  }
}

RecordCounts encode_records(RecordSource& source, const SampleEncoder& encoder, BadRecords& bad,
                            const std::function<void(const EncodedRecord&)>& handle) {
  RecordCounts counts;
  const auto parse = [&](std::string_view line, const std::string& where) {
    using enum SampleEncoder::ChangedTexts;
    return parse_and_encode(line, where, encoder, counts.changed_text.empty() ? kLookFor : kIgnore);
  };
  parse_records(source, bad, parse, [&](RecordAndSample one, const RecordPlace& place) {
    const Record& record = one.record;
    ++counts.records;
    ++counts.kinds[kind_name(record.kind)];
    if (!record.label.empty()) ++counts.labels[record.label];
    counts.rendered += record.was_rendered ? 1 : 0;
    counts.context_turns += std::ranges::count_if(record.turns, is_context_answer);
    for (const std::string& name : record.unused) counts.add_unused(name);
    for (const std::string& name : one.sample.left_out) ++counts.left_out[name];
    if (one.sample.changed_text) counts.changed_text = describe(*one.sample.changed_text, place.where);
    EncodedRecord encoded{.record = record, .place = place, .tokens = std::move(one.sample.tokens)};
    encoded.whole_length = static_cast<std::int64_t>(encoded.tokens.size());
    const TruncationResult result = encoder.truncate(encoded.tokens, place.where);
    counts.truncated += result == TruncationResult::kTruncated ? 1 : 0;
    counts.dropped_overlong += result == TruncationResult::kDroppedOverlong ? 1 : 0;
    counts.dropped_without_target += result == TruncationResult::kDroppedWithoutTarget ? 1 : 0;
    encoded.is_sample = result == TruncationResult::kWhole || result == TruncationResult::kTruncated;
    if (encoded.is_sample) {
      const auto length = static_cast<std::int64_t>(encoded.tokens.size());
      ++counts.samples;
      counts.tokens += length;
      counts.tokens_cut_off += encoded.whole_length - length;
      counts.target_tokens += count_targets(encoded.tokens);
    }
    handle(encoded);
    return true;
  });
  counts.bad_records = bad.count();
  counts.records += counts.bad_records;
  counts.bad_messages = bad.messages();
  return counts;
}

}  // namespace nkat::data
