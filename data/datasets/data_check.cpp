#include "data/datasets/data_check.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/cli/log.h"
#include "core/utf8.h"
#include "data/datasets/jsonl_pass.h"
#include "data/datasets/open_records.h"

namespace nkat::data {
namespace {

constexpr std::size_t kBadMessages = 10;
constexpr int kSampleLines = 40;
constexpr std::size_t kLongestSample = 8000;  // bytes

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

std::string listed(const std::map<std::string, std::int64_t>& map) {
  std::string text;
  for (const auto& [name, count] : map) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", name, count);
  return text.empty() ? "none" : text;
}

// What is left out of a record or of the loss, as sentences; none where nothing is.
std::vector<std::string> notes_of(const RecordCounts& counts) {
  std::vector<std::string> notes;
  if (counts.rendered > 0)
    notes.push_back(
        fmt::format("{} records held a rendered conversation; it was parsed back into turns", counts.rendered));
  if (counts.context_turns > 0)
    notes.push_back(
        fmt::format("{} assistant turns are marked as not to be learned; they stay as context", counts.context_turns));
  if (!counts.unused.empty()) notes.push_back(fmt::format("in records, but not used: {}", listed(counts.unused)));
  return notes;
}

std::string outcome_of(const RecordCounts& counts) {
  return fmt::format("{} truncated ({} tokens lost), {} dropped as overlong, {} dropped without a target",
                     counts.truncated, counts.tokens_cut_off, counts.dropped_overlong, counts.dropped_without_target);
}

std::string first_lines(const std::string& text, int count) {
  std::size_t end = text.find('\n');
  while (--count > 0 && end != std::string::npos) end = text.find('\n', end + 1);
  const std::string lines = end == std::string::npos ? text : text.substr(0, end) + "\n...";
  return ellipsize(lines, kLongestSample);
}

}  // namespace

DataCheck DataChecker::check(const std::string& path) {
  DataCheck check;
  const std::unique_ptr<RecordSource> records = open_records(path);
  BadRecords bad(kNoLimit, kBadMessages);
  std::vector<std::int64_t> lengths;
  const RecordCounts counts = encode_records(*records, encoder_, bad, [&](const EncodedRecord& one) {
    lengths.push_back(one.whole_length);
    check.duplicates += seen_.insert(content_hash(one.record)).second ? 0 : 1;
    if (!one.is_sample || !check.sample_place.empty()) return;
    check.sample_place = one.place.where;
    check.sample_text = show_targets(tokenizer_, one.tokens);
  });
  check.add(counts);
  check.path = path;
  check.length_percentiles = percentiles(lengths);
  return check;
}

std::string show_targets(const Tokenizer& tokenizer, std::span<const std::uint32_t> tokens) {
  StreamingDecoder decoder(tokenizer);
  std::string text;
  bool in_target = false;
  for (const std::uint32_t one : tokens) {
    const bool target = (one & kTargetBit) != 0;
    if (target != in_target) text += decoder.finish() + (target ? kTargetBegin : kTargetEnd);
    in_target = target;
    text += decoder.push(static_cast<std::int32_t>(one & ~kTargetBit));
  }
  return text + decoder.finish() + (in_target ? kTargetEnd : "");
}

void log_dataset(const Dataset& dataset, const Tokenizer& tokenizer, const DatasetUse& use) {
  const DatasetSummary& all = dataset.summary();
  log::info(fmt::format("{}: {} samples of {} records ({}), {} tokens, {} targets, longest {}; {}, {} bad; template {}",
                        use.name, all.samples, all.records, listed(all.kinds), all.tokens, all.target_tokens,
                        all.longest, outcome_of(all), all.bad_records, use.template_name));
  for (const std::string& note : notes_of(all)) log::info(fmt::format("{}: {}", use.name, note));
  for (const std::string& warning : rendering_warnings(all)) log::warning(fmt::format("{}: {}", use.name, warning));
  if (!use.with_sample) return;
  log::info(fmt::format("{}: {}, targets between {} and {}:\n{}", use.name, dataset.describe(0), kTargetBegin,
                        kTargetEnd, first_lines(show_targets(tokenizer, dataset.sample(0).tokens), kSampleLines)));
}

nlohmann::ordered_json to_json(const DataCheck& check) {
  nlohmann::ordered_json percentile = nlohmann::ordered_json::object();
  for (const auto& [percent, length] : check.length_percentiles) percentile[std::to_string(percent)] = length;
  nlohmann::ordered_json json = {{"file", check.path}};
  json.update(to_json(static_cast<const RecordCounts&>(check)));
  json["duplicates"] = check.duplicates;
  json["length_percentiles"] = percentile;
  json["sample"] = {{"place", check.sample_place}, {"text", check.sample_text}};
  return json;
}

std::string to_text(const DataCheck& check) {
  std::string text = fmt::format("{}\n", check.path);
  const auto row = [&](const char* name, const std::string& value) {
    text += fmt::format("  {:<12}{}\n", name, value);
  };
  row("records", fmt::format("{}, of them {} bad, {} duplicates", check.records, check.bad_records, check.duplicates));
  row("kinds", listed(check.kinds));
  row("labels", listed(check.labels));
  for (const std::string& note : notes_of(check)) row("note", note);
  row("samples", fmt::format("{}; {}", check.samples, outcome_of(check)));
  row("tokens", fmt::format("{}, of them {} targets", check.tokens, check.target_tokens));
  std::string lengths;
  for (const auto& [percent, length] : check.length_percentiles) {
    lengths += fmt::format("{}{}% up to {}", lengths.empty() ? "" : ", ", percent, length);
  }
  row("lengths", lengths.empty() ? "none" : lengths + " tokens, before truncation");
  for (const std::string& warning : rendering_warnings(check)) row("template", warning);
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
