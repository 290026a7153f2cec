#include "core/signals.h"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <pthread.h>
#include <stdexcept>
#include <thread>
#include <unistd.h>

#include <gtest/gtest.h>

#include "core/error.h"

namespace nkat {
namespace {

using ::testing::ExitedWithCode;

// Standard input is this pipe while it lives.
class InputPipe {
 public:
  InputPipe() : before_(::dup(STDIN_FILENO)) {
    int ends[2];
    if (::pipe(ends) != 0) throw std::runtime_error("pipe failed");
    ::dup2(ends[0], STDIN_FILENO);
    ::close(ends[0]);
    writer_ = ends[1];
  }
  InputPipe(const InputPipe&) = delete;
  ~InputPipe() {
    end();
    ::dup2(before_, STDIN_FILENO);
    ::close(before_);
  }
  bool write(char one) const { return ::write(writer_, &one, 1) == 1; }
  void end() {
    if (writer_ >= 0) ::close(writer_);
    writer_ = -1;
  }

 private:
  int before_;
  int writer_ = -1;
};

TEST(Signals, NothingIsRequestedWithoutASignal) {
  EXPECT_FALSE(stop_requested());
  EXPECT_NO_THROW(throw_if_stop_requested());
}

TEST(Signals, StandardInputIsThereWithBytesAndAtItsEnd) {
  InputPipe input;
  ASSERT_TRUE(input.write('x'));
  EXPECT_TRUE(wait_for_standard_input());
  char one = 0;
  EXPECT_EQ(::read(STDIN_FILENO, &one, 1), 1);  // the wait took nothing
  EXPECT_EQ(one, 'x');
  input.end();
  EXPECT_TRUE(wait_for_standard_input());
}

// The flag can't be taken back: what raises signals runs in a process of its own.
TEST(SignalsDeathTest, TheFirstSignalOfEitherKindBecomesAnErrorOfExitCode75) {
  for (const int signal : {SIGINT, SIGTERM}) {
    const auto stopped = [signal] {
      install_stop_signals();
      std::raise(signal);
      try {
        throw_if_stop_requested();
      } catch (const Interrupted& error) {
        std::fputs(error.what(), stderr);
        std::_Exit(stop_requested() ? static_cast<int>(error.exit_code()) : 1);
      }
      std::_Exit(0);
    };
    EXPECT_EXIT(stopped(), ExitedWithCode(75), "stopped by a signal") << signal;
  }
}

TEST(SignalsDeathTest, TheSecondSignalEndsTheProcessAtOnce) {
  const auto stopped_twice = [] {
    install_stop_signals();
    std::raise(SIGINT);
    std::fputs("still running", stderr);
    std::raise(SIGTERM);
    std::_Exit(0);
  };
  EXPECT_EXIT(stopped_twice(), ExitedWithCode(75), "still running");
}

TEST(SignalsDeathTest, AStopEndsTheWaitForInput) {
  const auto stopped_before = [] {
    const InputPipe silent;
    install_stop_signals();
    std::raise(SIGTERM);
    std::_Exit(wait_for_standard_input() ? 1 : 0);
  };
  EXPECT_EXIT(stopped_before(), ExitedWithCode(0), "");
  const auto stopped_meanwhile = [] {
    const InputPipe silent;
    install_stop_signals();
    ::alarm(60);  // ends a wait that doesn't
    std::thread later([waiting = ::pthread_self()] {
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
      ::pthread_kill(waiting, SIGINT);
    });
    const bool there = wait_for_standard_input();
    later.join();
    std::_Exit(there ? 1 : 0);
  };
  EXPECT_EXIT(stopped_meanwhile(), ExitedWithCode(0), "");
}

TEST(SignalsDeathTest, AWriteToAClosedPipeFailsInsteadOfKilling) {
  const auto written = [] {
    int ends[2];
    if (::pipe(ends) != 0) std::_Exit(2);
    ::close(ends[0]);
    std::signal(SIGPIPE, SIG_DFL);
    ignore_write_signals();
    std::_Exit(::write(ends[1], "x", 1) == -1 && errno == EPIPE ? 0 : 1);
  };
  EXPECT_EXIT(written(), ExitedWithCode(0), "");
}

}  // namespace
}  // namespace nkat
