#include "core/cli/options.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/error.h"

namespace nkat {
namespace {

std::string json_key(std::string name) {
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

std::string flag_name(std::string key) {
  std::replace(key.begin(), key.end(), '_', '-');
  return key;
}

template <class Number>
bool parse_number(const std::string& text, Number& number) {
  const char* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, number);
  return error == std::errc() && stopped == end && std::isfinite(static_cast<double>(number));
}

std::string describe_range(const OptionInfo& info) {
  const char* from = info.above_minimum ? "above" : "at least";
  const bool low = std::isfinite(info.minimum);
  const bool high = std::isfinite(info.maximum);
  if (low && high && !info.above_minimum) return fmt::format("from {} to {}", info.minimum, info.maximum);
  if (low && high) return fmt::format("above {}, at most {}", info.minimum, info.maximum);
  if (low) return fmt::format("{} {}", from, info.minimum);
  return high ? fmt::format("at most {}", info.maximum) : std::string();
}

std::string text_of(const nlohmann::ordered_json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

bool is_word(const nlohmann::ordered_json& value) {
  return value.is_string() || value.is_number() || value.is_boolean();
}

// The words of a key's value, as if they stood behind the flag; a complaint if it has another form.
std::string words_of(const nlohmann::ordered_json& value, bool is_list, std::vector<std::string>& words) {
  if (!value.is_array()) {
    words = {text_of(value)};
    return is_word(value) ? ""
                          : fmt::format("a text, a number, true or false was expected, found {}", value.type_name());
  }
  for (const auto& item : value) words.push_back(text_of(item));
  if (!is_list) return "one value was expected, found a list";
  const bool texts = std::all_of(value.begin(), value.end(), [](const auto& item) { return item.is_string(); });
  return texts ? "" : "a list of texts was expected";
}

}  // namespace

template <class Field>
void OptionList::add_number(const std::string& name, Field& field, const OptionInfo& info) {
  const std::string kind = std::is_integral_v<Field> ? "a whole number" : "a number";
  Option option{.name = name, .info = info, .default_text = fmt::format("{}", field)};
  if (option.info.value.empty()) option.info.value = std::is_integral_v<Field> ? "N" : "X";
  option.range_text = describe_range(info);
  option.set = [&field, info, kind](const std::vector<std::string>& words) -> std::string {
    Field number{};
    if (words.size() != 1 || !parse_number(words[0], number)) {
      return fmt::format("{} was expected, found '{}'", kind, fmt::join(words, " "));
    }
    const double value = static_cast<double>(number);
    if (value < info.minimum || value > info.maximum || (info.above_minimum && value == info.minimum)) {
      return fmt::format("{} {} was expected, found {}", kind, describe_range(info), words[0]);
    }
    field = number;
    return "";
  };
  option.save = [&field](nlohmann::ordered_json& json) { json = field; };
  options_.push_back(std::move(option));
}

void OptionList::add(const std::string& name, std::int64_t& field, const OptionInfo& info) {
  add_number(name, field, info);
}
void OptionList::add(const std::string& name, double& field, const OptionInfo& info) { add_number(name, field, info); }

void OptionList::add(const std::string& name, std::string& field, const OptionInfo& info) {
  Option option{.name = name, .info = info, .default_text = field};
  if (option.info.value.empty())
    option.info.value = info.choices.empty() ? "TEXT" : fmt::format("{}", fmt::join(info.choices, "|"));
  option.set = [&field, info](const std::vector<std::string>& words) -> std::string {
    if (words.size() != 1) return fmt::format("one value was expected, found {}", words.size());
    if (!info.choices.empty() && std::find(info.choices.begin(), info.choices.end(), words[0]) == info.choices.end()) {
      const std::string near = nearest_name(words[0], info.choices);
      return fmt::format("one of {} was expected, found '{}'{}", fmt::join(info.choices, ", "), words[0],
                         near.empty() ? "" : fmt::format("; did you mean '{}'?", near));
    }
    field = words[0];
    return "";
  };
  option.save = [&field](nlohmann::ordered_json& json) { json = field; };
  options_.push_back(std::move(option));
}

void OptionList::add(const std::string& name, std::vector<std::string>& field, const OptionInfo& info) {
  Option option{.name = name, .info = info, .default_text = fmt::format("{}", fmt::join(field, " ")), .is_list = true};
  if (option.info.value.empty()) option.info.value = "TEXT";
  option.set = [&field](const std::vector<std::string>& words) -> std::string {
    field = words;
    return "";
  };
  option.save = [&field](nlohmann::ordered_json& json) { json = field; };
  options_.push_back(std::move(option));
}

void OptionList::add(const std::string& name, bool& field, const OptionInfo& info) {
  Option option{.name = name, .info = info, .default_text = field ? "true" : "false", .is_switch = true};
  option.set = [&field](const std::vector<std::string>& words) -> std::string {
    const std::string word = words.empty() ? "true" : words[0];
    if (words.size() > 1 || (word != "true" && word != "false"))
      return fmt::format("true or false was expected, found '{}'", word);
    field = word == "true";
    return "";
  };
  option.save = [&field](nlohmann::ordered_json& json) { json = field; };
  options_.push_back(std::move(option));
}

void OptionList::add_preset(const std::string& name, const std::string& help, const Preset& values) {
  presets_[name] = {help, values};
}

OptionList::Option* OptionList::find(std::string_view name_or_key) {
  const std::string name = flag_name(std::string(name_or_key));
  const auto found =
      std::find_if(options_.begin(), options_.end(), [&](const Option& option) { return option.name == name; });
  return found == options_.end() ? nullptr : &*found;
}

bool OptionList::given(const std::string& name) const {
  return std::any_of(options_.begin(), options_.end(),
                     [&](const Option& option) { return option.name == name && option.given; });
}

void OptionList::apply(const std::map<std::string, std::vector<std::string>>& flags, const nlohmann::ordered_json& file,
                       const std::string& file_name) {
  std::vector<std::string> complaints;
  std::vector<std::string> names;
  for (Option& option : options_) {
    names.push_back(option.name);
    option.given = false;
  }
  const auto set = [&](Option& option, const std::vector<std::string>& words, const std::string& where) {
    const std::string complaint = option.set(words);
    if (!complaint.empty()) complaints.push_back(fmt::format("{}: {}", where, complaint));
    option.given = true;
  };

  std::string preset;
  const bool has_preset = file.contains("preset") || flags.contains("preset");
  if (file.contains("preset")) preset = text_of(file["preset"]);
  if (const auto given = flags.find("preset"); given != flags.end()) preset = given->second.at(0);
  if (has_preset) {
    const auto found = presets_.find(preset);
    if (found == presets_.end()) {
      std::vector<std::string> known;
      for (const auto& entry : presets_) known.push_back(entry.first);
      complaints.push_back(fmt::format("--preset: one of {} was expected, found '{}'", fmt::join(known, ", "), preset));
    } else {
      for (const auto& [name, value] : found->second.second) {
        NKAT_INVARIANT(find(name) != nullptr && find(name)->set({value}).empty());
      }
    }
  }
  for (const auto& [key, value] : file.items()) {
    if (key == "preset") continue;
    Option* option = find(key);
    const std::string where = fmt::format("{}: key '{}'", file_name, key);
    if (option == nullptr) {
      const std::string near = nearest_name(flag_name(key), names);
      complaints.push_back(where + " is not an option" +
                           (near.empty() ? "" : fmt::format("; did you mean '{}'?", json_key(near))));
    } else if (option->given) {
      complaints.push_back(where + " stands twice");
    } else {
      std::vector<std::string> words;
      const std::string complaint = words_of(value, option->is_list, words);
      if (complaint.empty()) {
        set(*option, words, where);
      } else {
        complaints.push_back(fmt::format("{}: {}", where, complaint));
        option->given = true;
      }
    }
  }
  for (const auto& [name, words] : flags) {
    if (Option* option = find(name)) set(*option, words, "--" + name);
  }
  for (const Option& option : options_) {
    const auto given = flags.find(option.name);
    const bool empty_flag =
        given != flags.end() && !option.is_switch &&
        std::all_of(given->second.begin(), given->second.end(), [](const auto& word) { return word.empty(); });
    if (option.info.required && empty_flag)
      complaints.push_back(fmt::format("--{}: it must not be empty", option.name));
    if (option.info.required && !option.given)
      complaints.push_back(fmt::format("--{} is required ({})", option.name, option.info.help));
  }
  if (complaints.empty()) {
    for (const auto& check : checks_) {
      for (auto& complaint : check()) complaints.push_back(std::move(complaint));
    }
  }
  if (!complaints.empty()) throw ConfigError(fmt::format("{}", fmt::join(complaints, "\n")));
}

nlohmann::ordered_json OptionList::to_json() const {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  for (const Option& option : options_) option.save(json[json_key(option.name)]);
  return json;
}

std::string nearest_name(std::string_view name, const std::vector<std::string>& candidates) {
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(2, name.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    std::vector<std::size_t> row(candidate.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 0; i < name.size(); ++i) {
      std::size_t diagonal = row[0];
      row[0] = i + 1;
      for (std::size_t j = 0; j < candidate.size(); ++j) {
        const std::size_t substituted = diagonal + (name[i] == candidate[j] ? 0 : 1);
        diagonal = row[j + 1];
        row[j + 1] = std::min({substituted, row[j] + 1, row[j + 1] + 1});
      }
    }
    if (row.back() < best_distance) {
      best_distance = row.back();
      best = candidate;
    }
  }
  return best;
}

}  // namespace nkat
