// Log lines on stderr, with the time and level. A progress bar is wiped before a line and drawn again after it.
// Thread-safe.
#pragma once

#include <functional>
#include <string>

namespace nkat::log {

enum class Level { kDebug, kInfo, kWarning, kError };

void set_level(Level level);
void debug(const std::string& message);
void info(const std::string& message);
void warning(const std::string& message);
void error(const std::string& message);

// Prefix of this process's log lines, for processes that share a terminal.
void set_prefix(const std::string& prefix);
// Hooks run before and after each line, so that a progress bar can share the terminal; pass {} to remove them.
void set_screen_hooks(std::function<void()> wipe, std::function<void()> redraw);

}  // namespace nkat::log
