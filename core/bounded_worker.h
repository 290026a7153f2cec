// A function of bytes that runs in a child process, for work on input that nobody vouches for: a chat template is a
// program. The child may use so much memory and processor time for one request and is ended beyond that; whatever goes
// wrong in it, a crash or an endless recursion too, comes back as an error.
//
//   BoundedWorker worker([](std::string_view request) { return reply_to(request); }, {.memory_bytes = 512 << 20});
//   const std::string reply = worker.call("...");
//
// The child is a copy of this process, made at the first call and again after a request that ended it, so the function
// may keep what it has prepared from one request to the next. It has no files but /dev/null and must not log.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace nkat {

class BoundedWorker {
 public:
  struct Limits {
    std::uint64_t memory_bytes = 0;  // that the child may add to what it starts with
    int seconds = 0;                 // of processor time
  };
  using Function = std::function<std::string(std::string_view request)>;

  BoundedWorker(Function function, const Limits& limits);
  ~BoundedWorker();

  // DataError with what the function threw, or "took more than N s ...", "took more than N MiB ...", "crashed ...",
  // "was killed ...": the caller puts the subject in front. Interrupted where a stop is requested. Thread-safe, one
  // request after the other.
  std::string call(std::string_view request);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace nkat
