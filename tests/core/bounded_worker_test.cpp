#include "core/bounded_worker.h"

#include <chrono>
#include <csignal>
#include <cstring>
#include <sys/resource.h>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/message_of.h"

namespace nkat {
namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kAllocatorAborts = true;  // it ends a process that is out of memory
#else
constexpr bool kAllocatorAborts = false;
#endif
constexpr const char* kCrashed = "crashed: it nests or calls itself too deep";
constexpr const char* kNoMemory = kAllocatorAborts ? kCrashed : "took more than 64 MiB of memory";
constexpr BoundedWorker::Limits kLimits{.memory_bytes = 64 << 20, .seconds = 1};

TEST(BoundedWorker, AnswersInOneChildThatKeepsWhatItPrepared) {
  BoundedWorker worker(
      [calls = 0](std::string_view request) mutable {
        return std::string(request) + " " + std::to_string(++calls) + " " + std::to_string(::getpid());
      },
      kLimits);
  const std::string first = worker.call("a");
  const std::string second = worker.call(std::string("b\0c", 3));
  EXPECT_EQ(first.substr(0, 4), "a 1 ");
  EXPECT_EQ(second.substr(0, 6), std::string("b\0c 2 ", 6));
  EXPECT_EQ(first.substr(4), second.substr(6));
  EXPECT_NE(first.substr(4), std::to_string(::getpid()));
}

TEST(BoundedWorker, CarriesMessagesOfAnySize) {
  BoundedWorker worker([](std::string_view request) { return std::string(request) + std::string(request); }, kLimits);
  const std::string long_request(5'000'003, 'x');
  EXPECT_EQ(worker.call(long_request), long_request + long_request);
  EXPECT_EQ(worker.call(""), "");
}

TEST(BoundedWorker, PassesOnWhatTheFunctionThrows) {
  BoundedWorker worker([](std::string_view) -> std::string { throw FormatError("no verb"); }, kLimits);
  EXPECT_EQ(nkat::testing::message_of<DataError>([&] { worker.call("x"); }), "no verb");
}

TEST(BoundedWorker, RefusesWhatNeedsTooMuchAndAnswersTheNextRequest) {
  BoundedWorker worker(
      [](std::string_view request) -> std::string {
        if (request == "memory") {
          std::vector<char> block(std::size_t{256} << 20);
          std::memset(block.data(), 1, block.size());
          return {block.back()};
        }
        volatile bool forever = request == "time";
        while (forever) {
        }
        if (request == "crash") ::_exit(1);
        if (request == "kill") ::raise(SIGKILL);
        return "fine";
      },
      kLimits);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(nkat::testing::message_of<DataError>([&] { worker.call("memory"); }), kNoMemory);
    EXPECT_EQ(worker.call(""), "fine");
  }
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(nkat::testing::message_of<DataError>([&] { worker.call("time"); }), "took more than 1 s of processor time");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(60));
  EXPECT_EQ(worker.call(""), "fine");
  EXPECT_EQ(nkat::testing::message_of<DataError>([&] { worker.call("crash"); }), kCrashed);
  EXPECT_EQ(worker.call(""), "fine");
  EXPECT_EQ(nkat::testing::message_of<DataError>([&] { worker.call("kill"); }),
            "was killed from outside, perhaps for lack of memory: try again with more of it free");
  EXPECT_EQ(worker.call(""), "fine");
}

TEST(BoundedWorker, HasAStackThatEndsWhateverTheShellAllows) {
  BoundedWorker worker(
      [](std::string_view) {
        rlimit stack{};
        ::getrlimit(RLIMIT_STACK, &stack);
        return std::to_string(stack.rlim_cur);
      },
      kLimits);
  EXPECT_LE(std::stoull(worker.call("")), std::uint64_t{8} << 20);
}

TEST(BoundedWorker, BlamesNoRequestForMemoryThatEarlierOnesLeftBehind) {
  if (kAllocatorAborts) GTEST_SKIP() << "the sanitizer's allocator doesn't say that memory is short";
  BoundedWorker worker(
      [kept = std::vector<std::string>()](std::string_view) mutable {
        kept.emplace_back(std::size_t{20} << 20, 'x');
        return std::to_string(kept.size());
      },
      kLimits);
  std::string last;
  for (int i = 0; i < 10; ++i) last = worker.call("");
  EXPECT_NE(last, "10");
}

}  // namespace
}  // namespace nkat
