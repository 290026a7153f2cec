// One generated record, the line it is written as, and the split it belongs to.
// A record's split is a function of its key alone, whatever the seed, the count or the language, so two sets of
// different splits never share a request.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nkat::data {

enum class Language { kEnglish, kJapanese };
enum class Split { kTrain, kValidation, kTest };

inline constexpr int kLanguages = 2;

struct GeneratedRecord {
  std::string key;     // what the request asks for, without courtesy, system prompt and (for problems) names
  std::string system;  // "" for none
  std::string user;
  std::string answer;
  std::string text;   // a plain text instead of a conversation; "" for none
  std::string label;  // of a decision: ALLOW, ESCALATION, DENY or REFUSE; "" for none
  std::string task;
  Language language = Language::kEnglish;
  std::string kind = "";  // of a problem: "arithmetic" or "geometry"; not written to the line
};

// Eight tenths of all keys train, one tenth each validates and tests: by a RandomStream named by the key.
Split split_of(std::string_view key);

// The record as one JSON line of the `messages` or `text` kind (data/datasets/record.h), with label, task and language, with "\n".
std::string to_line(const GeneratedRecord& record);

const char* language_code(Language language);  // "en", "ja"

}  // namespace nkat::data
