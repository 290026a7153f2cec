#include "core/cli/command.h"

#include <iostream>
#include <map>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/cli/log.h"
#include "core/files/file.h"
#include "core/json.h"
#include "core/machine.h"

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
  if (!option.range_text.empty()) text += ", " + option.range_text;
  if (!option.is_switch && !option.default_text.empty()) text += fmt::format(" (default {})", option.default_text);
  return text;
}

void add_flag(Parsed& parsed, const OptionList::Option& option) {
  std::string names = "--" + option.name;
  if (parsed.command->positional == option.name) names += "," + option.name;
  auto& words = parsed.words[option.name];
  CLI::Option* flag = parsed.app->add_option(names, words, help_text(option));
  if (option.is_switch) {
    flag->expected(0, 1)->default_str("")->type_name("");
  } else if (option.is_list) {
    flag->expected(1, -1)->type_name(option.info.value);
  } else {
    // Two values are parsed so that our own message names the flag.
    flag->expected(1)->multi_option_policy(CLI::MultiOptionPolicy::TakeLast)->type_name(option.info.value);
  }
  parsed.flags[option.name] = flag;
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
    for (const auto& option : command.options->options()) add_flag(*parsed, option);
  }
  all.push_back(std::move(parsed));
  CLI::App& app = *all.back()->app;
  for (const Command& subcommand : command.subcommands) add_command(app, subcommand, all);
}

void refuse_extras(const CLI::App& app, const std::vector<std::string>& known) {
  for (const std::string& extra : app.remaining(false)) {
    const std::string near = nearest_name(extra.substr(0, extra.find('=')), known);
    throw ConfigError(fmt::format("{}: '{}' is not known{}; see {} --help", app.get_name(), extra,
                                  near.empty() ? "" : fmt::format("; did you mean '{}'?", near), app.get_name()));
  }
}

// With the full name of the command ("nkat data check") in its usage line.
void print_help(const CLI::App& app) {
  std::string before;
  for (const CLI::App* parent = app.get_parent(); parent != nullptr; parent = parent->get_parent()) {
    before = parent->get_name() + (before.empty() ? "" : " " + before);
  }
  std::cout << app.help(before);
}

ExitCode run_command(Parsed& parsed, const char* const* argv) {
  std::vector<std::string> known = {"--config", "--help"};
  for (const auto& entry : parsed.flags) known.push_back("--" + entry.first);
  for (const Command& subcommand : parsed.command->subcommands) known.push_back(subcommand.name);
  refuse_extras(*parsed.app, known);
  if (!parsed.command->run) {
    print_help(*parsed.app);
    throw ConfigError(fmt::format("{}: one of its commands was expected", parsed.command->name));
  }
  std::map<std::string, std::vector<std::string>> flags;
  for (const auto& [name, flag] : parsed.flags) {
    if (flag->count() == 0) continue;
    if (name == parsed.command->positional && flag->get_items_expected_max() == 1 && flag->count() > 1) {
      throw ConfigError(fmt::format("{}: one {} was expected, found {}; see --help for the options that take more",
                                    parsed.command->name, name, flag->count()));
    }
    flags[name] = parsed.words[name];
    // A switch without a value arrives as one empty word.
    if (flag->get_expected_min() == 0) std::erase(flags[name], "");
  }
  nlohmann::ordered_json file = nlohmann::ordered_json::object();
  if (!parsed.config_file.empty()) {
    file = parse_json(read_file(parsed.config_file, kConfigFileLimit), parsed.config_file);
    if (!file.is_object()) throw ConfigError(parsed.config_file + ": a JSON object was expected");
  }
  parsed.command->options->apply(flags, file, parsed.config_file);
  if (parsed.command->computes) reexec_with_passive_omp_wait(argv);
  return parsed.command->run();
}

ExitCode parse_and_run(CLI::App& app, std::vector<std::unique_ptr<Parsed>>& all, int argc, const char* const* argv) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    const CLI::App* asked = &app;
    while (!asked->get_subcommands().empty()) asked = asked->get_subcommands().front();
    print_help(*asked);
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
  throw ConfigError("a command was expected");
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
