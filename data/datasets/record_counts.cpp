#include "data/datasets/record_counts.h"

#include <nlohmann/json.hpp>

namespace nkat::data {
namespace {

constexpr const char *kKinds = "kinds", *kLabels = "labels", *kUnused = "unused", *kBadMessages = "bad_messages";

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
  bad_messages.insert(bad_messages.end(), file.bad_messages.begin(), file.bad_messages.end());
}

void RecordCounts::add_unused(const std::string& name, std::int64_t count) {
  const bool full = unused.size() >= kMostUnused && !unused.contains(name);
  unused[full ? kOtherNames : name] += count;
}

nlohmann::ordered_json to_json(const RecordCounts& counts) {
  nlohmann::ordered_json json;
  for (const RecordCounter& counter : kRecordCounters) json[counter.key] = counts.*counter.field;
  json[kKinds] = counts.kinds;
  json[kLabels] = counts.labels;
  json[kUnused] = counts.unused;
  json[kBadMessages] = counts.bad_messages;
  return json;
}

RecordCounts record_counts_from(const JsonObject& object) {
  RecordCounts counts;
  for (const RecordCounter& counter : kRecordCounters) counts.*counter.field = object.integer(counter.key);
  counts.kinds = named_counts(object, kKinds);
  counts.labels = named_counts(object, kLabels);
  counts.unused = named_counts(object, kUnused);
  for (const auto& message : object.list(kBadMessages)) {
    if (!message.is_string()) object.fail(kBadMessages, "a list of strings");
    counts.bad_messages.push_back(message.get<std::string>());
  }
  return counts;
}

}  // namespace nkat::data
