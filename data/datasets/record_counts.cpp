#include "data/datasets/record_counts.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace nkat::data {
namespace {

constexpr const char *kKindsKey = "kinds", *kLabelsKey = "labels", *kUnusedKey = "unused",
                     *kBadMessagesKey = "bad_messages", *kLeftOutKey = "left_out", *kChangedTextKey = "changed_text";

void add_to(std::map<std::string, std::int64_t>& sum, const std::map<std::string, std::int64_t>& counts) {
  for (const auto& [name, count] : counts) sum[name] += count;
}

std::map<std::string, std::int64_t> named_counts(const JsonObject& parent, const char* key) {
  const JsonObject object = parent.object(key);
  std::map<std::string, std::int64_t> counts;
  for (const auto& entry : parent.find(key)->items()) counts[entry.key()] = object.integer(entry.key());
  return counts;
}

}  // namespace

void RecordCounts::add(const RecordCounts& file, std::int64_t repeats) {
  for (const RecordCounter& counter : kRecordCounters)
    this->*counter.field += file.*counter.field * (counter.per_repeat ? repeats : 1);
  add_to(kinds, file.kinds);
  add_to(labels, file.labels);
  for (const auto& [name, count] : file.unused) add_unused(name, count);
  add_to(left_out, file.left_out);
  if (changed_text.empty()) changed_text = file.changed_text;
  bad_messages.insert(bad_messages.end(), file.bad_messages.begin(), file.bad_messages.end());
}

void RecordCounts::add_unused(const std::string& name, std::int64_t count) {
  const bool full = unused.size() >= kMostUnused && !unused.contains(name);
  unused[full ? kOtherNames : name] += count;
}

std::vector<std::string> rendering_warnings(const RecordCounts& counts) {
  std::vector<std::string> warnings;
  for (const auto& [name, count] : counts.left_out)
    warnings.push_back(fmt::format("the chat template leaves the {} out of {} records", name, count));
  if (!counts.changed_text.empty())
    warnings.push_back(
        "the chat template changes an earlier turn's text for a later one; whole conversations are used: " +
        counts.changed_text);
  return warnings;
}

nlohmann::ordered_json to_json(const RecordCounts& counts) {
  nlohmann::ordered_json json;
  for (const RecordCounter& counter : kRecordCounters) json[counter.key] = counts.*counter.field;
  json[kKindsKey] = counts.kinds;
  json[kLabelsKey] = counts.labels;
  json[kUnusedKey] = counts.unused;
  if (!counts.left_out.empty()) json[kLeftOutKey] = counts.left_out;
  if (!counts.changed_text.empty()) json[kChangedTextKey] = counts.changed_text;
  json[kBadMessagesKey] = counts.bad_messages;
  return json;
}

RecordCounts record_counts_from(const JsonObject& object) {
  RecordCounts counts;
  for (const RecordCounter& counter : kRecordCounters) counts.*counter.field = object.integer(counter.key);
  counts.kinds = named_counts(object, kKindsKey);
  counts.labels = named_counts(object, kLabelsKey);
  counts.unused = named_counts(object, kUnusedKey);
  if (object.has(kLeftOutKey)) counts.left_out = named_counts(object, kLeftOutKey);
  if (object.has(kChangedTextKey)) counts.changed_text = object.string(kChangedTextKey);
  for (const auto& message : object.list(kBadMessagesKey)) {
    if (!message.is_string()) object.fail(kBadMessagesKey, "a list of strings");
    counts.bad_messages.push_back(message.get<std::string>());
  }
  return counts;
}

}  // namespace nkat::data
