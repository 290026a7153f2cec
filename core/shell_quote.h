// A word of a command line as sh reads it, for commands that messages and reports print.
#pragma once

#include <string>
#include <string_view>

namespace nkat {

// Unchanged where it is plain; else in single quotes.
std::string shell_quoted(std::string_view word);

}  // namespace nkat
