// A command of the program: its name, options and what it does. Each module makes its own; main.cpp collects them.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/cli/options.h"
#include "core/error.h"

namespace nkat {

struct Command {
  std::string name;
  std::string summary;           // one line for the list of commands
  std::string description = "";  // what --help says below the options
  std::shared_ptr<OptionList> options = std::make_shared<OptionList>();
  std::string positional = "";  // name of the option that also takes the words without a flag; "" if none
  std::function<ExitCode()> run = nullptr;
  bool uses_tensors = false;  // computes with several threads
  std::vector<Command> subcommands = {};
};

// Parses the command line, runs one command, prints an error to stderr, and returns the process's exit code.
// `<command> --help --json` prints as JSON what the command's options declare.
int run_program(const std::string& name, const std::string& version, const std::vector<Command>& commands, int argc,
                const char* const* argv);

}  // namespace nkat
