#include "core/bounded_worker.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <mutex>
#include <new>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "core/error.h"
#include "core/machine.h"
#include "core/signals.h"

namespace nkat {
namespace {

constexpr int kPollMilliseconds = 200;
// Where the shell allows an endless stack, endless recursion would take all of the machine's memory.
constexpr rlim_t kStackBytes = 8 << 20;

enum class Outcome : char { kDone, kRefused, kNoMemory };

// All bytes or false: the other side is gone, or, for `receive`, a stop was requested.
bool send_bytes(int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

bool wait_for_bytes(int socket) {
  struct pollfd input {
    .fd = socket, .events = POLLIN, .revents = 0
  };
  while (!stop_requested()) {
    if (::poll(&input, 1, kPollMilliseconds) > 0) return true;
  }
  return false;
}

bool receive_bytes(int socket, char* bytes, std::size_t count, bool ends_on_stop) {
  while (count > 0) {
    if (ends_on_stop && !wait_for_bytes(socket)) return false;
    const ssize_t received = ::recv(socket, bytes, count, 0);
    if (received < 0 && errno == EINTR) continue;
    if (received <= 0) return false;
    bytes += received;
    count -= static_cast<std::size_t>(received);
  }
  return true;
}

bool send_message(int socket, Outcome outcome, std::string_view text) {
  std::array<char, 1 + sizeof(std::uint64_t)> head{static_cast<char>(outcome)};
  const std::uint64_t size = text.size();
  std::memcpy(head.data() + 1, &size, sizeof size);
  return send_bytes(socket, {head.data(), head.size()}) && send_bytes(socket, text);
}

bool receive_message(int socket, Outcome& outcome, std::string& text, bool ends_on_stop) {
  std::array<char, 1 + sizeof(std::uint64_t)> head{};
  if (!receive_bytes(socket, head.data(), head.size(), ends_on_stop)) return false;
  std::uint64_t size = 0;
  std::memcpy(&size, head.data() + 1, sizeof size);
  outcome = static_cast<Outcome>(head[0]);
  text.resize(size);
  return receive_bytes(socket, text.data(), text.size(), ends_on_stop);
}

void limit(__rlimit_resource resource, rlim_t most) {
  rlimit now{};
  ::getrlimit(resource, &now);
  now.rlim_cur = std::min(most, now.rlim_max);
  ::setrlimit(resource, &now);
}

// The processor time used so far, in whole seconds begun.
rlim_t used_seconds() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  return static_cast<rlim_t>(used.ru_utime.tv_sec + used.ru_stime.tv_sec + 2);
}

// The child keeps its socket and nothing else: files that it held open would not end when the parent closes them.
void leave_parent(int socket) {
  for (const int signal : {SIGINT, SIGTERM}) ::signal(signal, SIG_IGN);  // the parent decides; its end ends the child
  for (const int signal : {SIGSEGV, SIGBUS, SIGXCPU}) ::signal(signal, SIG_DFL);
  ::close_range(3, static_cast<unsigned>(socket) - 1, 0);
  ::close_range(static_cast<unsigned>(socket) + 1, ~0U, 0);
  const int null = ::open("/dev/null", O_RDWR);
  for (const int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::dup2(null, standard);
  limit(RLIMIT_CORE, 0);
}

[[noreturn]] void serve(int socket, const BoundedWorker::Function& function, const BoundedWorker::Limits& limits) {
  leave_parent(socket);
  limit(RLIMIT_STACK, kStackBytes);
  limit(RLIMIT_DATA, process_memory().data_bytes + limits.memory_bytes);
  std::string text;
  Outcome outcome = Outcome::kDone;
  while (receive_message(socket, outcome, text, /*ends_on_stop=*/false)) {
    limit(RLIMIT_CPU, used_seconds() + static_cast<rlim_t>(limits.seconds));
    try {
      text = function(text);
      outcome = Outcome::kDone;
    } catch (const std::bad_alloc&) {
      outcome = Outcome::kNoMemory;
      text.clear();
    } catch (const std::exception& error) {
      outcome = Outcome::kRefused;
      text = error.what();
    }
    if (!send_message(socket, outcome, text) || outcome == Outcome::kNoMemory) break;
  }
  ::_exit(0);
}

}  // namespace

struct BoundedWorker::State {
  const Function function;
  const Limits limits;
  std::mutex mutex;
  pid_t child = 0;
  int socket = -1;
  std::int64_t served = 0;  // requests that this child has answered

  State(Function f, const Limits& l) : function(std::move(f)), limits(l) {}
  ~State() { end(); }

  void start() {
    std::array<int, 2> pair{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()) != 0)
      throw DeviceError(fmt::format("no socket for a child process: {}", std::strerror(errno)));
    child = ::fork();
    if (child == 0) serve(pair[1], function, limits);
    ::close(pair[1]);
    socket = pair[0];
    served = 0;
    if (child > 0) return;
    const std::string reason = std::strerror(errno);
    end();
    throw DeviceError("no child process: " + reason);
  }

  // Returns how the child ended, as waitpid() says it.
  int end() {
    int status = 0;
    if (socket >= 0) ::close(socket);
    socket = -1;
    if (child > 0) {
      ::kill(child, SIGKILL);
      while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
      }
    }
    child = 0;
    return status;
  }

  [[noreturn]] void fail_ended() {
    // Its end of the socket closes just before the process has its status; killed meanwhile it would have another.
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    child = 0;
    end();
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU)
      throw DataError(fmt::format("took more than {} s of processor time", limits.seconds));
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
      throw DataError("was killed from outside, perhaps for lack of memory: try again with more of it free");
    throw DataError("crashed: it nests or calls itself too deep");
  }
};

BoundedWorker::BoundedWorker(Function function, const Limits& limits)
    : state_(std::make_unique<State>(std::move(function), limits)) {}
BoundedWorker::~BoundedWorker() = default;

std::string BoundedWorker::call(std::string_view request) {
  const std::lock_guard lock(state_->mutex);
  while (true) {
    if (state_->child == 0) state_->start();
    Outcome outcome = Outcome::kDone;
    std::string reply;
    if (!send_message(state_->socket, outcome, request) ||
        !receive_message(state_->socket, outcome, reply, /*ends_on_stop=*/true)) {
      if (stop_requested()) state_->end();
      throw_if_stop_requested();
      state_->fail_ended();
    }
    if (outcome == Outcome::kDone || outcome == Outcome::kRefused) ++state_->served;
    if (outcome == Outcome::kDone) return reply;
    if (outcome == Outcome::kRefused) throw DataError(reply);
    // Earlier requests may have left memory behind: only a fresh child's word counts.
    const bool was_fresh = state_->served == 0;
    state_->end();
    if (was_fresh) throw DataError(fmt::format("took more than {} MiB of memory", state_->limits.memory_bytes >> 20));
  }
}

}  // namespace nkat
