#include "data/datasets/jsonl_pass.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/cli/log.h"
#include "core/cli/progress.h"
#include "core/signals.h"

namespace nkat::data {
namespace {

constexpr std::uint64_t kProgressFrom = 8 << 20;  // bytes of a file that are worth a progress bar

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
  parse_records(source, bad, parse_record, [&](const Record& record, const RecordPlace& place) {
    ++counts.records;
    ++counts.kinds[kind_name(record.kind)];
    if (!record.label.empty()) ++counts.labels[record.label];
    counts.rendered += record.was_rendered ? 1 : 0;
    counts.context_turns += std::ranges::count_if(record.turns, is_context_answer);
    for (const std::string& name : record.unused) counts.add_unused(name);
    EncodedRecord encoded{.record = record, .place = place, .tokens = encoder.encode(record)};
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
