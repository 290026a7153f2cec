#include "core/signals.h"

#include <csignal>
#include <poll.h>
#include <unistd.h>

#include "core/error.h"

namespace nkat {
namespace {

constexpr int kPollMilliseconds = 200;

volatile std::sig_atomic_t stop_signals = 0;

extern "C" void on_stop_signal(int) {
  stop_signals = stop_signals + 1;
  if (stop_signals > 1) ::_exit(static_cast<int>(ExitCode::kInterrupted));
}

}  // namespace

void install_stop_signals() {
  struct sigaction action {};
  action.sa_handler = on_stop_signal;
  ::sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

bool stop_requested() { return stop_signals > 0; }

void throw_if_stop_requested() {
  if (stop_requested()) throw Interrupted("stopped by a signal");
}

bool wait_for_standard_input() {
  struct pollfd input {
    .fd = STDIN_FILENO, .events = POLLIN, .revents = 0
  };
  while (!stop_requested()) {
    // Not without a limit: a signal may come between the question and the call, or to another thread.
    if (::poll(&input, 1, kPollMilliseconds) > 0) return true;
  }
  return false;
}

void ignore_write_signals() {
  std::signal(SIGXFSZ, SIG_IGN);
  std::signal(SIGPIPE, SIG_IGN);
}

}  // namespace nkat
