// Quotes a word for sh, for commands in messages and reports.
#pragma once

#include <string>
#include <string_view>

namespace nkat {

// Unchanged if no character is special to sh; else in single quotes.
std::string shell_quoted(std::string_view word);

}  // namespace nkat
