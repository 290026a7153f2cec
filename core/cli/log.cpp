#include "core/cli/log.h"

#include <mutex>

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

namespace nkat::log {
namespace {

std::mutex screen_mutex;
std::function<void()> wipe_screen;
std::function<void()> redraw_screen;
std::string message_prefix;

spdlog::logger& logger() {
  static const std::shared_ptr<spdlog::logger> instance = [] {
    auto made = std::make_shared<spdlog::logger>("nkat", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    made->set_pattern("%H:%M:%S %^%l%$ %v");
    made->flush_on(spdlog::level::trace);
    return made;
  }();
  return *instance;
}

void write(spdlog::level::level_enum level, const std::string& message) {
  const std::lock_guard lock(screen_mutex);
  if (!logger().should_log(level)) return;
  if (wipe_screen) wipe_screen();
  logger().log(level, "{}{}", message_prefix, message);
  if (redraw_screen) redraw_screen();
}

spdlog::level::level_enum to_spdlog(Level level) {
  switch (level) {
    case Level::kDebug: return spdlog::level::debug;
    case Level::kInfo: return spdlog::level::info;
    case Level::kWarning: return spdlog::level::warn;
    case Level::kError: return spdlog::level::err;
  }
  return spdlog::level::info;
}

}  // namespace

void set_level(Level level) { logger().set_level(to_spdlog(level)); }
void debug(const std::string& message) { write(spdlog::level::debug, message); }
void info(const std::string& message) { write(spdlog::level::info, message); }
void warning(const std::string& message) { write(spdlog::level::warn, message); }
void error(const std::string& message) { write(spdlog::level::err, message); }

void set_prefix(const std::string& prefix) {
  const std::lock_guard lock(screen_mutex);
  message_prefix = prefix;
}

void set_screen_hooks(std::function<void()> wipe, std::function<void()> redraw) {
  const std::lock_guard lock(screen_mutex);
  wipe_screen = std::move(wipe);
  redraw_screen = std::move(redraw);
}

}  // namespace nkat::log
