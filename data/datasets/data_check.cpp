#include "data/datasets/data_check.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/cli/progress.h"
#include "core/error.h"
#include "core/signals.h"
#include "data/datasets/record.h"
#include "data/formats/jsonl.h"

namespace nkat::data {
namespace {

constexpr std::size_t kBadMessages = 10;
constexpr std::uint64_t kProgressFrom = 8 << 20;

std::uint64_t content_hash(const Record& record) {
  std::string all = record.text;
  for (const Turn& turn : record.turns) all += fmt::format("{}\x1F{}\x1E", role_name(turn.role), turn.content);
  return std::hash<std::string>()(all);
}

std::map<int, std::int64_t> percentiles(std::vector<std::int64_t>& lengths) {
  std::map<int, std::int64_t> result;
  std::ranges::sort(lengths);
  for (const int percent : {50, 90, 99, 100}) {
    // The smallest length that at least this share of the records does not exceed.
    const std::size_t rank = (lengths.size() * static_cast<std::size_t>(percent) + 99) / 100;
    if (!lengths.empty()) result[percent] = lengths[rank - 1];
  }
  return result;
}

std::string counts(const std::map<std::string, std::int64_t>& map) {
  std::string text;
  for (const auto& [name, count] : map) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", name, count);
  return text.empty() ? "none" : text;
}

}  // namespace

DataCheck DataChecker::check(const std::string& path) {
  DataCheck check;
  check.path = path;
  JsonlReader reader(path);
  std::optional<ProgressBar> progress;
  if (reader.file_size() >= kProgressFrom) progress.emplace("reading " + path, reader.file_size());
  std::vector<std::int64_t> lengths;
  while (const std::optional<JsonlLine> line = reader.next()) {
    throw_if_stop_requested();
    const std::string where = reader.where(line->number);
    ++check.records;
    try {
      if (!line->complaint.empty()) throw FormatError(where + ": " + line->complaint);
      const Record record = parse_record(line->text, where);
      std::vector<std::uint32_t> marked = encoder_.encode(record);
      lengths.push_back(static_cast<std::int64_t>(marked.size()));
      ++check.kinds[kind_name(record.kind)];
      if (!record.label.empty()) ++check.labels[record.label];
      check.rendered += record.was_rendered ? 1 : 0;
      check.duplicates += seen_.insert(content_hash(record)).second ? 0 : 1;
      add_sample(check, marked, where);
    } catch (const FormatError& error) {
      ++check.bad_records;
      if (check.bad_messages.size() < kBadMessages) check.bad_messages.push_back(error.what());
    }
    if (progress) progress->update(reader.bytes_read(), fmt::format("{} records", check.records));
  }
  check.length_percentiles = percentiles(lengths);
  return check;
}

void DataChecker::add_sample(DataCheck& check, std::vector<std::uint32_t>& marked, const std::string& where) {
  const auto before = static_cast<std::int64_t>(marked.size());
  const TruncationResult fate = encoder_.fit(marked, where);
  check.cut += fate == TruncationResult::kCut ? 1 : 0;
  check.dropped_overlong += fate == TruncationResult::kDroppedOverlong ? 1 : 0;
  check.dropped_without_target += fate == TruncationResult::kDroppedWithoutTarget ? 1 : 0;
  if (fate != TruncationResult::kKept && fate != TruncationResult::kCut) return;
  ++check.samples;
  check.tokens += static_cast<std::int64_t>(marked.size());
  check.tokens_cut_off += before - static_cast<std::int64_t>(marked.size());
  check.target_tokens += count_targets(marked);
  if (!check.sample_place.empty()) return;
  check.sample_place = where;
  check.sample_text = show_targets(tokenizer_, marked);
}

std::string show_targets(const Tokenizer& tokenizer, const std::vector<std::uint32_t>& marked) {
  StreamingDecoder decoder(tokenizer);
  std::string text;
  bool in_target = false;
  for (const std::uint32_t one : marked) {
    const bool target = (one & kTargetBit) != 0;
    if (target != in_target) text += decoder.finish() + (target ? kTargetBegin : kTargetEnd);
    in_target = target;
    text += decoder.push(static_cast<std::int32_t>(one & ~kTargetBit));
  }
  return text + decoder.finish() + (in_target ? kTargetEnd : "");
}

nlohmann::ordered_json to_json(const DataCheck& check) {
  nlohmann::ordered_json percentile = nlohmann::ordered_json::object();
  for (const auto& [percent, length] : check.length_percentiles) percentile[std::to_string(percent)] = length;
  return {{"file", check.path},
          {"records", check.records},
          {"bad_records", check.bad_records},
          {"bad_messages", check.bad_messages},
          {"kinds", check.kinds},
          {"labels", check.labels},
          {"rendered", check.rendered},
          {"duplicates", check.duplicates},
          {"cut", check.cut},
          {"dropped_overlong", check.dropped_overlong},
          {"dropped_without_target", check.dropped_without_target},
          {"samples", check.samples},
          {"tokens", check.tokens},
          {"target_tokens", check.target_tokens},
          {"tokens_cut_off", check.tokens_cut_off},
          {"length_percentiles", percentile},
          {"sample", {{"place", check.sample_place}, {"text", check.sample_text}}}};
}

std::string to_text(const DataCheck& check) {
  std::string text = fmt::format("{}\n", check.path);
  const auto row = [&](const char* name, const std::string& value) {
    text += fmt::format("  {:<12}{}\n", name, value);
  };
  row("records", fmt::format("{}, of them {} bad, {} duplicates", check.records, check.bad_records, check.duplicates));
  row("kinds", counts(check.kinds));
  row("labels", counts(check.labels));
  if (check.rendered > 0)
    row("rendered",
        fmt::format("{} records held a rendered conversation; it was parsed back into turns", check.rendered));
  row("samples",
      fmt::format("{}; {} cut ({} tokens lost), {} dropped as overlong, {} dropped without a target", check.samples,
                  check.cut, check.tokens_cut_off, check.dropped_overlong, check.dropped_without_target));
  row("tokens", fmt::format("{}, of them {} targets", check.tokens, check.target_tokens));
  std::string lengths;
  for (const auto& [percent, length] : check.length_percentiles) {
    lengths += fmt::format("{}{}% up to {}", lengths.empty() ? "" : ", ", percent, length);
  }
  row("lengths", lengths.empty() ? "none" : lengths + " tokens, before any cut");
  for (const std::string& message : check.bad_messages) row("bad", message);
  if (check.bad_records > static_cast<std::int64_t>(check.bad_messages.size())) {
    row("", fmt::format("and {} more", check.bad_records - static_cast<std::int64_t>(check.bad_messages.size())));
  }
  if (!check.sample_place.empty()) {
    text += fmt::format("  {}, targets between {} and {}:\n{}\n", check.sample_place, kTargetBegin, kTargetEnd,
                        check.sample_text);
  }
  return text;
}

}  // namespace nkat::data
