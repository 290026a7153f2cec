#include "core/cli/options.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <numeric>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/message.h"
#include "core/utf8.h"

namespace nkat {
namespace {

using Json = nlohmann::ordered_json;

std::string json_key(std::string name) {
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

std::string flag_name(std::string key) {
  std::replace(key.begin(), key.end(), '_', '-');
  return key;
}

std::string in_quotes(std::string_view text) { return fmt::format("'{}'", text); }

std::string did_you_mean(std::string_view name, const std::vector<std::string>& candidates) {
  const std::string near = nearest_name(name, candidates);
  return near.empty() ? "" : fmt::format("did you mean '{}'?", near);
}

// As names are compared: capital letters don't matter, and a blank or an underscore is a dash.
std::string folded(std::string_view name) {
  std::string text(name);
  std::ranges::transform(text, text.begin(), [](unsigned char c) {
    return c == '_' || c == ' ' ? '-' : static_cast<char>(std::tolower(c));
  });
  return text;
}

std::string without_dashes(std::string_view name) {
  std::string text = folded(name);
  std::erase(text, '-');
  return text;
}

std::size_t edit_distance(std::string_view from, std::string_view to) {
  std::vector<std::size_t> row(to.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < from.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < to.size(); ++j) {
      const std::size_t substituted = diagonal + (from[i] == to[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({substituted, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

// Replaces a word by the choice that it names; returns an error message if it names none.
std::string choose(std::string& word, const std::vector<std::string>& choices) {
  if (choices.empty() || std::ranges::find(choices, word) != choices.end()) return "";
  const auto found = std::ranges::find(choices, folded(word), folded);
  if (found == choices.end()) return expected(one_of(choices), in_quotes(word), did_you_mean(word, choices));
  word = *found;
  return "";
}

std::string choice_metavar(const std::vector<std::string>& choices) {
  return choices.empty() ? "TEXT" : fmt::format("{}", fmt::join(choices, "|"));
}

template <class Number>
bool parse_number(const std::string& text, Number& number) {
  const char* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, number);
  return error == std::errc() && stopped == end && std::isfinite(static_cast<double>(number));
}

std::string text_of(const Json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

bool is_word(const Json& value) { return value.is_string() || value.is_number() || value.is_boolean(); }

// Converts a JSON value to command-line words; returns an error message.
std::string words_of(const Json& value, bool is_list, std::vector<std::string>& words) {
  if (!value.is_array()) {
    words = {text_of(value)};
    return is_word(value) ? "" : expected("a string, a number, true or false", value.type_name());
  }
  for (const auto& item : value) words.push_back(text_of(item));
  if (!is_list) return expected("one value", "a list");
  const auto other = std::ranges::find_if(value, [](const auto& item) { return !item.is_string(); });
  return other == value.end() ? "" : expected("a list of strings", fmt::format("a list with {}", other->dump()));
}

bool is_blank(const std::vector<std::string>& words) {
  return std::ranges::all_of(words, [](const std::string& word) { return word.empty(); });
}

Json finite_bound(double bound, OptionType type) {
  if (!std::isfinite(bound)) return nullptr;
  return type == OptionType::kInteger ? Json(static_cast<std::int64_t>(bound)) : Json(bound);
}

}  // namespace

std::string OptionList::Option::key() const { return json_key(name); }

Json OptionList::Option::value() const {
  Json json;
  save(json);
  return json;
}

template <class Field>
void OptionList::add_number(const std::string& name, Field& field, const OptionInfo& info) {
  constexpr bool kWhole = std::is_integral_v<Field>;
  Option option{.name = name,
                .type = kWhole ? OptionType::kInteger : OptionType::kNumber,
                .info = info,
                .default_text = fmt::format("{}", field)};
  if (option.info.metavar.empty()) option.info.metavar.push_back(kWhole ? 'N' : 'X');
  option.set = [&field, info](const std::vector<std::string>& words) -> std::string {
    const std::string kind = kWhole ? "a whole number" : "a number";
    Field number{};
    if (words.size() != 1 || !parse_number(words[0], number))
      return expected(kind, fmt::format("'{}'", fmt::join(words, " ")));
    const double value = static_cast<double>(number);
    if (value < info.minimum || value > info.maximum || (info.above_minimum && value == info.minimum)) {
      const std::string range = describe_range(info);
      return expected(fmt::format("{} {}{}", kind, range.starts_with("at ") ? "of " : "", range), words[0]);
    }
    field = number;
    return "";
  };
  option.save = [&field](Json& json) { json = field; };
  options_.push_back(std::move(option));
}

void OptionList::add_text(const std::string& name, const OptionInfo& info, const std::function<std::string()>& get,
                          const std::function<void(const std::string&)>& set) {
  Option option{.name = name,
                .type = info.choices.empty() ? OptionType::kString : OptionType::kChoice,
                .info = info,
                .default_text = get()};
  if (option.info.metavar.empty()) option.info.metavar = choice_metavar(info.choices);
  option.set = [info, set, initial = get()](const std::vector<std::string>& words) -> std::string {
    if (words.size() != 1) return expected("one value", fmt::format("{}", words.size()));
    std::string word = words[0];
    std::string error = word == initial ? "" : choose(word, info.choices);
    if (error.empty() && info.check) error = info.check(word);
    if (error.empty()) set(word);
    return error;
  };
  option.save = [get](Json& json) { json = get(); };
  options_.push_back(std::move(option));
}

void OptionList::add(const std::string& name, std::int64_t& field, const OptionInfo& info) {
  add_number(name, field, info);
}
void OptionList::add(const std::string& name, double& field, const OptionInfo& info) { add_number(name, field, info); }

void OptionList::add(const std::string& name, std::string& field, const OptionInfo& info) {
  add_text(
      name, info, [&field] { return field; }, [&field](const std::string& text) { field = text; });
}

void OptionList::add(const std::string& name, std::vector<std::string>& field, const OptionInfo& info) {
  add_list(
      name, info, [&field] { return field; }, [&field](const std::vector<std::string>& words) { field = words; });
}

void OptionList::add_list(const std::string& name, const OptionInfo& info,
                          const std::function<std::vector<std::string>()>& get,
                          const std::function<void(const std::vector<std::string>&)>& set) {
  Option option{
      .name = name, .type = OptionType::kList, .info = info, .default_text = fmt::format("{}", fmt::join(get(), " "))};
  if (option.info.metavar.empty()) option.info.metavar = choice_metavar(info.choices);
  option.set = [info, set](std::vector<std::string> words) -> std::string {
    for (std::string& word : words) {
      if (std::string error = choose(word, info.choices); !error.empty()) return error;
    }
    set(words);
    return "";
  };
  option.save = [get](Json& json) { json = get(); };
  options_.push_back(std::move(option));
}

void OptionList::add(const std::string& name, bool& field, const OptionInfo& info) {
  Option option{.name = name, .type = OptionType::kSwitch, .info = info, .default_text = field ? "true" : "false"};
  option.set = [&field](const std::vector<std::string>& words) -> std::string {
    const std::string given = words.empty() ? "true" : words[0], word = folded(given);
    if (words.size() > 1 || (word != "true" && word != "false")) return expected("true or false", in_quotes(given));
    field = word == "true";
    return "";
  };
  option.save = [&field](Json& json) { json = field; };
  options_.push_back(std::move(option));
}

void OptionList::add_preset(const std::string& name, const std::string& help, const Preset& values) {
  presets_[name] = {help, values};
}

OptionList::Option* OptionList::find(std::string_view name_or_key) {
  const std::string name = flag_name(std::string(name_or_key));
  const auto found = std::ranges::find_if(
      options_, [&](const Option& one) { return one.name == name || (one.info.alias == name && !name.empty()); });
  return found == options_.end() ? nullptr : &*found;
}

bool OptionList::given(const std::string& name) const {
  return std::ranges::any_of(options_, [&](const Option& option) { return option.name == name && option.given; });
}

void OptionList::apply_preset(const Flags& flags, const Json& file, Errors& errors) {
  const auto flag = flags.find("preset");
  if (flag == flags.end() && !file.contains("preset")) return;
  std::string preset = flag == flags.end() ? text_of(file["preset"]) : flag->second.at(0);
  std::vector<std::string> known;
  for (const auto& entry : presets_) known.push_back(entry.first);
  if (const std::string error = choose(preset, known); !error.empty()) {
    errors.push_back("--preset: " + error);
    return;
  }
  for (const auto& [name, value] : presets_.at(preset).second)
    NKAT_INVARIANT(find(name) != nullptr && find(name)->set({value}).empty());
}

void OptionList::apply_file(const Json& file, const std::string& file_name, Errors& errors) {
  std::vector<std::string> keys;
  for (const Option& option : options_) keys.push_back(option.key());
  for (const auto& [key, value] : file.items()) {
    if (key == "preset") continue;
    Option* option = find(key);
    const std::string where = fmt::format("{}: key '{}'", file_name, key);
    if (option == nullptr) {
      const std::string near = did_you_mean(json_key(key), keys);
      errors.push_back(fmt::format("{} is not an option{}{}", where, near.empty() ? "" : "; ", near));
      continue;
    }
    if (option->given) {
      errors.push_back(fmt::format("{}: duplicate key '{}'", file_name, option->key()));
      continue;
    }
    option->given = true;
    if (flag_name(key) != option->name)
      notices_.push_back(fmt::format("{} is now '{}'; the former name still works", where, option->key()));
    std::vector<std::string> words;
    std::string error = words_of(value, option->type == OptionType::kList, words);
    if (error.empty()) error = option->set(words);
    if (!error.empty()) errors.push_back(fmt::format("{}: {}", where, error));
  }
}

void OptionList::apply_flags(const Flags& flags, Errors& errors) {
  for (const auto& [name, words] : flags) {
    Option* option = find(name);
    if (option == nullptr) continue;
    if (name != option->name) {
      if (flags.contains(option->name)) {
        errors.push_back(fmt::format("--{} is the former name of --{}; give one of them", name, option->name));
        continue;
      }
      notices_.push_back(fmt::format("--{} is now --{}; the former name still works", name, option->name));
    }
    option->given = true;
    // Words go into JSON and messages; a config file's are UTF-8 already.
    const bool readable = std::ranges::all_of(
        words, [](const std::string& word) { return find_invalid_utf8(word) == std::string::npos; });
    if (const std::string error = readable ? option->set(words) : expected("UTF-8", "other bytes"); !error.empty())
      errors.push_back(fmt::format("--{}: {}", name, error));
  }
}

void OptionList::check_required(const Flags& flags, Errors& errors) const {
  for (const Option& option : options_) {
    if (!option.info.required) continue;
    const auto flag = flags.find(option.name);
    if (flag != flags.end() && option.type != OptionType::kSwitch && is_blank(flag->second))
      errors.push_back(fmt::format("--{}: it must not be empty", option.name));
    if (!option.given) errors.push_back(fmt::format("--{} is required ({})", option.name, option.info.help));
  }
}

void OptionList::apply(const Flags& flags, const Json& file, const std::string& file_name) {
  for (Option& option : options_) option.given = false;
  notices_.clear();
  Errors errors;
  apply_preset(flags, file, errors);
  apply_file(file, file_name, errors);
  apply_flags(flags, errors);
  check_required(flags, errors);
  if (errors.empty()) {
    for (const auto& check : checks_) {
      for (std::string& error : check()) errors.push_back(std::move(error));
    }
  }
  if (!errors.empty()) throw ConfigError(fmt::format("{}", fmt::join(errors, "\n")));
}

Json OptionList::to_json(const std::function<bool(const OptionInfo&)>& wanted) const {
  Json json = Json::object();
  for (const Option& option : options_) {
    if (!wanted || wanted(option.info)) json[option.key()] = option.value();
  }
  return json;
}

Json OptionList::declarations() const {
  Json list = Json::array();
  for (const Option& option : options_) {
    const OptionInfo& info = option.info;
    Json aliases = Json::array();
    if (!info.alias.empty()) aliases.push_back(info.alias);
    list.push_back({{"name", option.name},
                    {"key", option.key()},
                    {"type", name_of(option.type, kOptionTypeNames)},
                    {"metavar", info.metavar},
                    {"default", option.value()},
                    {"minimum", finite_bound(info.minimum, option.type)},
                    {"above_minimum", info.above_minimum},
                    {"maximum", finite_bound(info.maximum, option.type)},
                    {"choices", info.choices},
                    {"unit", info.unit},
                    {"help", info.help},
                    {"required", info.required},
                    {"resume", name_of(info.resume, kResumeNames)},
                    {"per_rank", info.per_rank},
                    {"aliases", aliases}});
  }
  return list;
}

std::string describe_range(const OptionInfo& info) {
  const bool low = std::isfinite(info.minimum), high = std::isfinite(info.maximum);
  if (low && high && !info.above_minimum) return fmt::format("from {} to {}", info.minimum, info.maximum);
  if (low && high) return fmt::format("above {} and at most {}", info.minimum, info.maximum);
  if (low) return fmt::format("{} {}", info.above_minimum ? "above" : "at least", info.minimum);
  return high ? fmt::format("at most {}", info.maximum) : "";
}

std::string nearest_name(std::string_view name, const std::vector<std::string>& candidates) {
  constexpr std::size_t kShortestBeginning = 3;
  const std::string wanted = without_dashes(name);
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(2, wanted.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    const std::string known = without_dashes(candidate);
    if (wanted.size() >= kShortestBeginning && known.starts_with(wanted)) return candidate;
    const std::size_t distance = edit_distance(wanted, known);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

}  // namespace nkat
