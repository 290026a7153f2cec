// Options declared once: the same list gives command-line flags, --help (as text and as JSON), the keys of a --config
// file, range checks, the effective config that a run saves, and what may change when a run is resumed.
//
//   struct EvalConfig { std::string data; std::int64_t batch_size = 1; Order order = Order::kGiven; };
//   OptionList options;
//   options.add("data", config.data, {.help = "JSONL file", .metavar = "FILE", .required = true});
//   options.add("batch-size", config.batch_size, {.help = "samples per forward pass", .minimum = 1});
//   options.add("order", config.order, kOrderNames, {.help = "order of the samples"});
//
// The list refers to the config's fields, which must outlive it; a field's initial value is the option's default. A name
// has dashes as a flag and underscores as a JSON key; JSON may use either.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "core/enum_names.h"

namespace nkat {

// What a resumed training run may change.
enum class Resume {
  kFixed,        // nothing: another value needs a new run
  kSameContent,  // where the files lie, not what they hold; contents are compared by hash
  kMayChange,
};
inline constexpr EnumNames<Resume, 3> kResumeNames = {
    {{Resume::kFixed, "fixed"}, {Resume::kSameContent, "same_content"}, {Resume::kMayChange, "may_change"}}};

enum class OptionType { kString, kInteger, kNumber, kChoice, kSwitch, kList };
inline constexpr EnumNames<OptionType, 6> kOptionTypeNames = {{{OptionType::kString, "string"},
                                                               {OptionType::kInteger, "integer"},
                                                               {OptionType::kNumber, "number"},
                                                               {OptionType::kChoice, "choice"},
                                                               {OptionType::kSwitch, "switch"},
                                                               {OptionType::kList, "list"}}};

struct OptionInfo {
  std::string help;
  std::string metavar = "";  // of the value in --help: "FILE", "N"; empty: by type
  std::string unit = "";     // of a number: "GiB"
  double minimum = -std::numeric_limits<double>::infinity();
  double maximum = std::numeric_limits<double>::infinity();
  std::vector<std::string> choices = {};  // of a string or a list's items, taken in any case; empty: any
  bool required = false;
  bool above_minimum = false;                                      // the minimum itself is not allowed
  std::function<std::string(const std::string&)> check = nullptr;  // of a string: an error message, or ""
  Resume resume = Resume::kFixed;                                  // of a training run
  bool per_rank = false;                                           // may differ between the ranks of a training run
  std::string alias = "";                                          // former name, still accepted
};

class OptionList {
 public:
  struct Option {
    std::string name;
    OptionType type = OptionType::kString;
    OptionInfo info;
    std::string default_text = "";
    // Sets the field from words: one, several for a list, none or "true"/"false" for a switch. Returns an error message
    // or "".
    std::function<std::string(const std::vector<std::string>&)> set = nullptr;
    std::function<void(nlohmann::ordered_json&)> save = nullptr;  // writes the field's value
    bool given = false;                                           // by the file or a flag

    std::string key() const;  // the name as a JSON key
    nlohmann::ordered_json value() const;
  };
  using Flags = std::map<std::string, std::vector<std::string>>;  // names (with dashes) and their words
  using Preset = std::map<std::string, std::string>;

  void add(const std::string& name, std::string& field, const OptionInfo& info);
  void add(const std::string& name, std::int64_t& field, const OptionInfo& info);
  void add(const std::string& name, double& field, const OptionInfo& info);
  void add(const std::string& name, bool& field, const OptionInfo& info);
  void add(const std::string& name, std::vector<std::string>& field, const OptionInfo& info);
  template <class Enum, std::size_t kCount>
  void add(const std::string& name, Enum& field, const EnumNames<Enum, kCount>& names, OptionInfo info) {
    info.choices = name_list(names);
    add_text(
        name, info, [&field, names] { return name_of(field, names); },
        [&field, names](const std::string& text) { field = *value_of(text, names); });
  }
  template <class Enum, std::size_t kCount>
  void add(const std::string& name, std::vector<Enum>& field, const EnumNames<Enum, kCount>& names, OptionInfo info) {
    info.choices = name_list(names);
    const auto get = [&field, names] {
      std::vector<std::string> words;
      for (const Enum value : field) words.push_back(name_of(value, names));
      return words;
    };
    add_list(name, info, get, [&field, names](const std::vector<std::string>& words) {
      field.clear();
      for (const std::string& word : words) field.push_back(*value_of(word, names));
    });
  }

  // `--preset NAME` sets these options before the file and the flags do.
  void add_preset(const std::string& name, const std::string& help, const Preset& values);
  // Checks across options, run after all values are set. Returns error messages, empty if all is well.
  void add_check(std::function<std::vector<std::string>()> check) { checks_.push_back(std::move(check)); }

  // Sets everything in the order preset, file, flags, then checks. ConfigError with all error messages, one per
  // line. `file`: the parsed --config or an empty object.
  void apply(const Flags& flags, const nlohmann::ordered_json& file, const std::string& file_name);

  // What the last apply() has to tell the user: former names that were used.
  const std::vector<std::string>& notices() const { return notices_; }

  // The values by JSON key, of every option or of those that `wanted` takes.
  nlohmann::ordered_json to_json(const std::function<bool(const OptionInfo&)>& wanted = nullptr) const;
  // Everything that an option declares, as `--help --json` prints it. "default": the field's value.
  nlohmann::ordered_json declarations() const;
  const std::vector<Option>& options() const { return options_; }
  const std::map<std::string, std::pair<std::string, Preset>>& presets() const { return presets_; }
  bool given(const std::string& name) const;

 private:
  using Errors = std::vector<std::string>;
  Option* find(std::string_view name_or_key);
  template <class Field>
  void add_number(const std::string& name, Field& field, const OptionInfo& info);
  void add_text(const std::string& name, const OptionInfo& info, const std::function<std::string()>& get,
                const std::function<void(const std::string&)>& set);
  void add_list(const std::string& name, const OptionInfo& info, const std::function<std::vector<std::string>()>& get,
                const std::function<void(const std::vector<std::string>&)>& set);
  void apply_preset(const Flags& flags, const nlohmann::ordered_json& file, Errors& errors);
  void apply_file(const nlohmann::ordered_json& file, const std::string& file_name, Errors& errors);
  void apply_flags(const Flags& flags, Errors& errors);
  void check_required(const Flags& flags, Errors& errors) const;

  std::vector<Option> options_;
  std::map<std::string, std::pair<std::string, Preset>> presets_;
  std::vector<std::function<std::vector<std::string>()>> checks_;
  std::vector<std::string> notices_;
};

// "from 1 to 10", "at least 0", "above 0"; "" for any number.
std::string describe_range(const OptionInfo& info);

// The candidate nearest to `name` by edit distance, or "" if none is near enough to be what was meant.
std::string nearest_name(std::string_view name, const std::vector<std::string>& candidates);

}  // namespace nkat
