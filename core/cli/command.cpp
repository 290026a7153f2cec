#include "core/cli/command.h"

#include <algorithm>
#include <iostream>
#include <iterator>
#include <map>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/cli/log.h"
#include "core/files/file.h"
#include "core/json.h"
#include "core/json_object.h"
#include "core/machine.h"
#include "core/message.h"

namespace nkat {
namespace {

constexpr std::uint64_t kConfigFileLimit = 1 << 20;

// What the parser holds for one command while it parses.
struct Parsed {
  const Command* command = nullptr;
  CLI::App* app = nullptr;
  std::map<std::string, std::vector<std::string>> words;
  std::map<std::string, CLI::Option*> flags;
  std::string config_file;
};

std::string help_text(const OptionList::Option& option) {
  std::string text = option.info.help;
  if (option.info.required) return text + " (required)";
  if (const std::string range = describe_range(option.info); !range.empty()) text += ", " + range;
  if (option.type == OptionType::kSwitch || option.default_text.empty()) return text;
  return text +
         fmt::format(" (default {}{}{})", option.default_text, option.info.unit.empty() ? "" : " ", option.info.unit);
}

CLI::Option* add_flag(Parsed& parsed, const OptionList::Option& option, const std::string& name) {
  std::string names = "--" + name;
  if (parsed.command->positional == name) names += "," + name;
  CLI::Option* flag = parsed.app->add_option(names, parsed.words[name], help_text(option));
  if (option.type == OptionType::kSwitch) {
    flag->expected(0, 1)->default_str("")->type_name("");
  } else if (option.type == OptionType::kList) {
    flag->expected(1, -1)->type_name(option.info.metavar);
  } else {
    // Two values are parsed so that our own message names the flag.
    flag->expected(1)->multi_option_policy(CLI::MultiOptionPolicy::TakeLast)->type_name(option.info.metavar);
  }
  parsed.flags[name] = flag;
  return flag;
}

void add_option(Parsed& parsed, const OptionList::Option& option) {
  add_flag(parsed, option, option.name);
  if (option.info.alias.empty()) return;
  add_flag(parsed, option, option.info.alias)->group("");  // not shown
}

void add_command(CLI::App& parent, const Command& command, std::vector<std::unique_ptr<Parsed>>& all) {
  auto parsed = std::make_unique<Parsed>();
  parsed->command = &command;
  parsed->app = parent.add_subcommand(command.name, command.summary);
  if (!command.description.empty()) parsed->app->footer("\n" + command.description);
  parsed->app->allow_extras(true);
  if (command.run) {
    parsed->app
        ->add_option("--config", parsed->config_file, "JSON file whose keys are these options; flags win over it")
        ->type_name("FILE");
    std::string presets;
    for (const auto& [name, preset] : command.options->presets())
      presets += (presets.empty() ? "" : "; ") + name + ": " + preset.first;
    if (!presets.empty()) {
      parsed->flags["preset"] =
          parsed->app->add_option("--preset", parsed->words["preset"], "a named set of values: " + presets)
              ->type_name("NAME")
              ->expected(1);
    }
    for (const auto& option : command.options->options()) add_option(*parsed, option);
  }
  all.push_back(std::move(parsed));
  CLI::App& app = *all.back()->app;
  for (const Command& subcommand : command.subcommands) add_command(app, subcommand, all);
}

// CLI11 takes a word "[1, 2]" for a list of words: a mark in front of the bracket hides it.
constexpr char kBracketMark = '\x1F';

std::vector<std::string> marked_words(int argc, const char* const* argv) {
  std::vector<std::string> words(argv + 1, argv + argc);
  for (std::string& word : words) {
    const std::size_t value = word.starts_with("--") ? word.find('=') + 1 : 0;  // 0 where it has no value
    if (word.ends_with(']') && word[value] == '[') word.insert(value, 1, kBracketMark);
  }
  return words;
}

std::string unmarked(const std::string& word) { return word.starts_with(kBracketMark) ? word.substr(1) : word; }

void refuse_extras(const CLI::App& app, const std::vector<std::string>& known) {
  for (const std::string& word : app.remaining(false)) {
    const std::string extra = unmarked(word);
    const std::string near = nearest_name(extra.substr(0, extra.find('=')), known);
    throw ConfigError(fmt::format("{}: '{}' is not known{}; see {} --help", app.get_name(), extra,
                                  near.empty() ? "" : fmt::format("; did you mean '{}'?", near), app.get_name()));
  }
}

// The full name of a command: "nkat data check".
std::string full_name(const CLI::App& app) {
  std::string name = app.get_name();
  for (const CLI::App* parent = app.get_parent(); parent != nullptr; parent = parent->get_parent())
    name.insert(0, parent->get_name() + " ");
  return name;
}

void print_help(const CLI::App& app) {
  const std::string name = full_name(app);
  const std::size_t last = name.rfind(' ');
  std::cout << app.help(last == std::string::npos ? "" : name.substr(0, last));
}

// `--help --json`: what --help says and what the options declare, for programs.
nlohmann::ordered_json help_json(const CLI::App& app, const Command* command) {
  nlohmann::ordered_json json = {{"command", full_name(app)}, {"summary", app.get_description()}};
  nlohmann::ordered_json commands = nlohmann::ordered_json::array();
  for (const CLI::App* one : app.get_subcommands({})) commands.push_back(one->get_name());
  json["commands"] = commands;
  if (command == nullptr || !command->run) return json;
  json["positional"] = command->positional;
  json["options"] = command->options->declarations();
  json["presets"] = nlohmann::ordered_json::object();
  for (const auto& [name, preset] : command->options->presets())
    json["presets"][name] = {{"help", preset.first}, {"values", preset.second}};
  return json;
}

ExitCode run_command(Parsed& parsed, const char* const* argv) {
  std::vector<std::string> known = {"--config", "--help"};
  for (const auto& [name, flag] : parsed.flags) {
    if (!flag->get_group().empty()) known.push_back("--" + name);
  }
  for (const Command& subcommand : parsed.command->subcommands) known.push_back(subcommand.name);
  refuse_extras(*parsed.app, known);
  if (!parsed.command->run) {
    print_help(*parsed.app);
    throw ConfigError(fmt::format("{}: {}", parsed.command->name, expected("one of its commands", "none")));
  }
  std::map<std::string, std::vector<std::string>> flags;
  for (const auto& [name, flag] : parsed.flags) {
    if (flag->count() == 0) continue;
    if (name == parsed.command->positional && flag->get_items_expected_max() == 1 && flag->count() > 1) {
      throw ConfigError(fmt::format(
          "{}: {}", parsed.command->name,
          expected("one " + name, fmt::format("{}", flag->count()), "see --help for the options that take several")));
    }
    std::ranges::transform(parsed.words[name], std::back_inserter(flags[name]), unmarked);
    // A switch without a value arrives as one empty word.
    if (flag->get_expected_min() == 0) std::erase(flags[name], "");
  }
  nlohmann::ordered_json file = nlohmann::ordered_json::object();
  parsed.config_file = unmarked(parsed.config_file);
  if (!parsed.config_file.empty()) {
    file = parse_json(read_file(parsed.config_file, kConfigFileLimit), parsed.config_file);
    if (!file.is_object())
      throw ConfigError(fmt::format("{}: {}", parsed.config_file, expected("a JSON object", shown(&file))));
  }
  parsed.command->options->apply(flags, file, parsed.config_file);
  if (parsed.command->uses_tensors) reexec_with_passive_omp_wait(argv);
  // Only now: the process may have been started anew, which would log them twice.
  for (const std::string& notice : parsed.command->options->notices()) log::warning(notice);
  return parsed.command->run();
}

ExitCode parse_and_run(CLI::App& app, std::vector<std::unique_ptr<Parsed>>& all, int argc, const char* const* argv) {
  try {
    std::vector<std::string> words = marked_words(argc, argv);
    std::ranges::reverse(words);  // as CLI11 wants them
    app.parse(std::move(words));
  } catch (const CLI::CallForHelp&) {
    const CLI::App* asked = &app;
    while (!asked->get_subcommands().empty()) asked = asked->get_subcommands().front();
    if (std::find(argv, argv + argc, std::string_view("--json")) == argv + argc) {
      print_help(*asked);
    } else {
      const auto found = std::ranges::find_if(all, [&](const auto& one) { return one->app == asked; });
      std::cout << dump_json(help_json(*asked, found == all.end() ? nullptr : (*found)->command), 2) << '\n';
    }
    return ExitCode::kDone;
  } catch (const CLI::CallForVersion& version) {
    std::cout << version.what() << '\n';
    return ExitCode::kDone;
  } catch (const CLI::ParseError& error) {
    throw ConfigError(error.what());
  }
  // The innermost command that was named is the one to run.
  Parsed* chosen = nullptr;
  for (auto& parsed : all) {
    if (parsed->app->parsed()) chosen = parsed.get();
  }
  if (chosen != nullptr) return run_command(*chosen, argv);
  std::vector<std::string> known;
  for (const auto& parsed : all) known.push_back(parsed->command->name);
  refuse_extras(app, known);
  print_help(app);
  throw ConfigError(expected("a command", "none"));
}

}  // namespace

int run_program(const std::string& name, const std::string& version, const std::vector<Command>& commands, int argc,
                const char* const* argv) {
  CLI::App app("Trains, validates and exports NKAT-SO8T adapters for Phi-3.5.", name);
  app.set_version_flag("--version", version);
  app.allow_extras(true);
  app.get_formatter()->column_width(40);
  std::vector<std::unique_ptr<Parsed>> all;
  for (const Command& command : commands) add_command(app, command, all);
  try {
    const ExitCode code = parse_and_run(app, all, argc, argv);
    std::cout.flush();
    if (!std::cout) throw DeviceError("stdout: writing failed; is the disk full or the reader gone?");
    return static_cast<int>(code);
  } catch (const Error& error) {
    log::error(error.what());
    return static_cast<int>(error.exit_code());
  } catch (const std::bad_alloc&) {
    log::error("out of memory; use a smaller model, batch or sequence length");
    return static_cast<int>(ExitCode::kMachine);
  } catch (const std::exception& error) {
    log::error(fmt::format("internal error: {}; please report it", error.what()));
    return static_cast<int>(ExitCode::kInternal);
  }
}

}  // namespace nkat
