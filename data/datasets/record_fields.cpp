#include "data/datasets/record_fields.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "core/error.h"
#include "core/utf8.h"

namespace nkat::data {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kLongestName = 32;  // bytes

// What trainers call it: OpenAI, Mistral, Together and Fireworks weight; axolotl train and training; ms-swift and XTuner
// loss; LLaMA-Factory loss_weight; torchtune masked.
struct LearnMark {
  std::string_view key;
  bool learns;  // does a yes mean that the turn is learned?
};
constexpr std::array kLearnMarks = {
    LearnMark{"weight", true},        LearnMark{"train", true},        LearnMark{"training", true},
    LearnMark{"train_on_turn", true}, LearnMark{"trainable", true},    LearnMark{"learn", true},
    LearnMark{"loss", true},          LearnMark{"loss_weight", true},  LearnMark{"loss_scale", true},
    LearnMark{"loss_mask", true},     LearnMark{"compute_loss", true}, LearnMark{"calculate_loss", true},
    LearnMark{"calc_loss", true},     LearnMark{"has_loss", true},     LearnMark{"train_on", true},
    LearnMark{"is_train", true},      LearnMark{"should_train", true}, LearnMark{"is_trainable", true},
    LearnMark{"supervised", true},    LearnMark{"supervise", true},    LearnMark{"skip_loss", false},
    LearnMark{"skip_train", false},   LearnMark{"is_target", true},    LearnMark{"masked", false},
    LearnMark{"mask", false},         LearnMark{"is_masked", false},   LearnMark{"ignore", false},
    LearnMark{"ignore_loss", false},  LearnMark{"no_loss", false},     LearnMark{"no_train", false},
    LearnMark{"skip", false}};

std::string shown_name(std::string name) {
  std::ranges::replace_if(
      name, [](char c) { return static_cast<unsigned char>(c) < ' '; }, '?');
  return ellipsize(name, kLongestName);
}

}  // namespace

std::string lower_case(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return text;
}

std::optional<bool> flag_of(const Json& value) {
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number() && (value == 0 || value == 1)) return value == 1;
  if (!value.is_string()) return std::nullopt;
  const std::string& text = value.get_ref<const std::string&>();
  for (const char* yes : {"1", "true", "True", "TRUE", "1.0"}) {
    if (text == yes) return true;
  }
  for (const char* no : {"0", "false", "False", "FALSE", "0.0"}) {
    if (text == no) return false;
  }
  return std::nullopt;
}

bool is_learn_mark(std::string_view key) {
  return std::ranges::find(kLearnMarks, key, &LearnMark::key) != kLearnMarks.end();
}

std::optional<bool> learn_mark(const JsonObject& object, std::string_view key) {
  const auto mark = std::ranges::find(kLearnMarks, key, &LearnMark::key);
  if (mark == kLearnMarks.end() || !object.has(key)) return std::nullopt;
  const std::optional<bool> flag = flag_of(*object.find(key));
  if (!flag) object.fail(key, "0, 1, true or false", "a turn is learned or not, there is nothing between");
  return *flag == mark->learns;
}

bool is_empty_value(const Json& value) {
  return value.is_null() || (value.is_string() && value.get_ref<const std::string&>().empty()) ||
         (value.is_structured() && value.empty());
}

void RecordFields::fail(const std::string& error) const {
  throw FormatError(fmt::format("{}: {}", object_.where(), error));
}

const Json& RecordFields::use(std::string_view key) {
  used_.emplace(key);
  return *object_.find(key);
}

std::string RecordFields::text(std::string_view key) {
  used_.emplace(key);
  return object_.string(key);
}

Json RecordFields::metadata() const {
  Json rest = Json::object();
  for (const auto& entry : json_.items()) {
    if (!used_.contains(entry.key())) rest[entry.key()] = entry.value();
  }
  return rest;
}

std::vector<std::string> RecordFields::unused() const {
  std::vector<std::string> names;
  for (const auto& entry : json_.items()) {
    if (!used_.contains(entry.key()) && !accounted_.contains(entry.key()) && !is_empty_value(entry.value()))
      names.push_back(shown_name(entry.key()));
  }
  names.insert(names.end(), noted_.begin(), noted_.end());
  return names;
}

void RecordFields::note_unused(const std::string& name) { noted_.insert(shown_name(name)); }

}  // namespace nkat::data
