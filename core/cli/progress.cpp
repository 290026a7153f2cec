#include "core/cli/progress.h"

#include <cmath>
#include <cstdio>

#include <fmt/format.h>

#include "core/cli/log.h"
#include "core/machine.h"
#include "core/utf8.h"

namespace nkat {
namespace {

constexpr auto kTerminalInterval = std::chrono::milliseconds(100);
constexpr auto kLineInterval = std::chrono::seconds(10);

}  // namespace

ProgressBar::ProgressBar(std::string title, std::uint64_t total, std::uint64_t done)
    : title_(std::move(title)),
      total_(total),
      first_(done),
      done_(done),
      terminal_(stderr_is_terminal()),
      started_(Clock::now()),
      drawn_(started_) {
  if (terminal_) log::set_screen_hooks([this] { wipe(); }, [this] { draw(); });
}

ProgressBar::~ProgressBar() {
  log::set_screen_hooks({}, {});
  if (terminal_) {
    draw();
    std::fputc('\n', stderr);
  }
}

void ProgressBar::update(std::uint64_t done, const std::string& detail) {
  done_ = done;
  detail_ = detail;
  const auto now = Clock::now();
  if (now - drawn_ < (terminal_ ? Clock::duration(kTerminalInterval) : Clock::duration(kLineInterval)) && done < total_)
    return;
  drawn_ = now;
  if (terminal_) {
    draw();
  } else {
    log::info(line());
  }
}

std::string ProgressBar::line() const {
  const double elapsed = std::chrono::duration<double>(Clock::now() - started_).count();
  const std::uint64_t here = done_ - first_;
  const std::string left =
      here > 0 && done_ < total_
          ? "  " + format_duration(elapsed / static_cast<double>(here) * static_cast<double>(total_ - done_)) + " left"
          : "";
  return fmt::format("{} {}/{}  {}{}", title_, done_, total_, detail_, left);
}

void ProgressBar::draw() const {
  constexpr int kBarWidth = 20;
  // A file that grows while it is read passes its total.
  const int filled = done_ >= total_ ? kBarWidth : static_cast<int>(kBarWidth * done_ / total_);
  std::string text = fmt::format("[{:#<{}}{:.<{}}] {}", "", filled, "", kBarWidth - filled, line());
  const auto columns = static_cast<std::size_t>(terminal_columns());
  if (text.size() >= columns) text.resize(complete_utf8_prefix(std::string_view(text).substr(0, columns - 1)));
  std::fprintf(stderr, "\r\033[K%s", text.c_str());
  std::fflush(stderr);
}

void ProgressBar::wipe() const {
  std::fputs("\r\033[K", stderr);
  std::fflush(stderr);
}

std::string format_duration(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::llround(seconds));
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {} s", whole / 60, whole % 60);
  return fmt::format("{} h {} min", whole / 3600, whole % 3600 / 60);
}

std::string format_bytes(double bytes) {
  if (bytes < kMiB) return fmt::format("{:.0f} KiB", bytes / 1024.0);
  return bytes < kGiB ? fmt::format("{:.0f} MiB", bytes / kMiB) : fmt::format("{:.2f} GiB", bytes / kGiB);
}

}  // namespace nkat
