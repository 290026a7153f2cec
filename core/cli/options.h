// Options declared once: the same list gives command-line flags, --help, the keys of a --config file, range checks, and
// the effective config that a run saves.
//
//   struct EvalConfig { std::string data; std::int64_t batch_size = 1; };
//   OptionList options;
//   options.add("data", config.data, {.help = "JSONL file", .value = "FILE", .required = true});
//   options.add("batch-size", config.batch_size, {.help = "samples a forward pass", .minimum = 1});
//
// The list refers to the config's fields, which must outlive it. A name is written with dashes as a flag and with
// underscores as a JSON key; both are read in JSON.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace nkat {

struct OptionInfo {
  std::string help;
  std::string value = "";  // what stands for the value in --help: "FILE", "N"; empty: the type's own word
  double minimum = -std::numeric_limits<double>::infinity();
  double maximum = std::numeric_limits<double>::infinity();
  std::vector<std::string> choices = {};  // for strings; empty: any
  bool required = false;
  bool above_minimum = false;  // the minimum itself is not allowed
};

class OptionList {
 public:
  struct Option {
    std::string name;
    OptionInfo info;
    std::string default_text;
    std::string range_text = "";  // "from 1 to 10"; empty: any number, or no number
    bool is_switch = false;
    bool is_list = false;
    // Sets the field from words (one, several for a list, none or "true"/"false" for a switch); returns a complaint or
    // "".
    std::function<std::string(const std::vector<std::string>&)> set = nullptr;
    std::function<void(nlohmann::ordered_json&)> save = nullptr;  // writes the field's value
    bool given = false;                                           // by the file or a flag
  };
  using Preset = std::map<std::string, std::string>;

  void add(const std::string& name, std::string& field, const OptionInfo& info);
  void add(const std::string& name, std::int64_t& field, const OptionInfo& info);
  void add(const std::string& name, double& field, const OptionInfo& info);
  void add(const std::string& name, bool& field, const OptionInfo& info);
  void add(const std::string& name, std::vector<std::string>& field, const OptionInfo& info);

  // `--preset NAME` sets these options before the file and the flags do.
  void add_preset(const std::string& name, const std::string& help, const Preset& values);
  // Checks across options: returns complaints, one a line, empty if all is well. Runs after all values are set.
  void add_check(std::function<std::vector<std::string>()> check) { checks_.push_back(std::move(check)); }

  // Sets everything in the order preset, file, flags, then checks. All complaints come in one ConfigError.
  // `flags` maps names (with dashes) to the words given; `file` is the parsed --config or null.
  void apply(const std::map<std::string, std::vector<std::string>>& flags, const nlohmann::ordered_json& file,
             const std::string& file_name);

  nlohmann::ordered_json to_json() const;  // every option, by JSON key
  const std::vector<Option>& options() const { return options_; }
  const std::map<std::string, std::pair<std::string, Preset>>& presets() const { return presets_; }
  bool given(const std::string& name) const;

 private:
  Option* find(std::string_view name_or_key);
  template <class Field>
  void add_number(const std::string& name, Field& field, const OptionInfo& info);

  std::vector<Option> options_;
  std::map<std::string, std::pair<std::string, Preset>> presets_;
  std::vector<std::function<std::vector<std::string>()>> checks_;
};

// The candidate nearest to `name` by edit distance, or "" if none is near enough to be what was meant.
std::string nearest_name(std::string_view name, const std::vector<std::string>& candidates);

}  // namespace nkat
