// The main() of the small programs that system tests run: errors in a line on standard error, exit code 1.
#pragma once

#include <cstdio>
#include <exception>

#include <fmt/format.h>

namespace nkat::testing {

template <class Run>
int run_program(const char* name, const Run& run) {
  try {
    return run();
  } catch (const std::exception& error) {
    std::fputs(fmt::format("{}: {}\n", name, error.what()).c_str(), stderr);
    return 1;
  }
}

}  // namespace nkat::testing
