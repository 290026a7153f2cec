#include "data/synthetic/generated_record.h"

#include <nlohmann/json.hpp>

#include "core/random.h"

namespace nkat::data {

Split split_of(std::string_view key) {
  const std::uint64_t tenth = RandomStream(0, key).below(10);
  if (tenth == 8) return Split::kValidation;
  return tenth == 9 ? Split::kTest : Split::kTrain;
}

std::string to_line(const GeneratedRecord& record) {
  nlohmann::ordered_json line;
  if (!record.text.empty()) {
    line["text"] = record.text;
  } else {
    auto& messages = line["messages"] = nlohmann::ordered_json::array();
    const auto add = [&](const char* role, const std::string& content) {
      if (!content.empty()) messages.push_back({{"role", role}, {"content", content}});
    };
    add("system", record.system);
    add("user", record.user);
    add("assistant", record.answer);
  }
  if (!record.label.empty()) line["label"] = record.label;
  line["task"] = record.task;
  line["language"] = language_code(record.language);
  return line.dump() + "\n";
}

const char* language_code(Language language) { return language == Language::kEnglish ? "en" : "ja"; }

}  // namespace nkat::data
