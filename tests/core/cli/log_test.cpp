#include "core/cli/log.h"

#include <array>
#include <cstdio>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nkat {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::internal::CaptureStderr;
using ::testing::internal::GetCapturedStderr;

struct Kind {
  log::Level level;
  void (*write)(const std::string&);
  const char* name;
};
// The less important first.
constexpr std::array kKinds = {
    Kind{log::Level::kDebug, log::debug, "debug"}, Kind{log::Level::kInfo, log::info, "info"},
    Kind{log::Level::kWarning, log::warning, "warning"}, Kind{log::Level::kError, log::error, "error"}};

class LogTest : public ::testing::Test {
 protected:
  ~LogTest() override {
    log::set_level(log::Level::kInfo);
    log::set_prefix("");
    log::set_screen_hooks({}, {});
  }
  template <class Write>
  static std::string written(const Write& write) {
    CaptureStderr();
    write();
    return GetCapturedStderr();
  }
  // "<" goes before each line and ">" behind it.
  static void set_visible_hooks() {
    log::set_screen_hooks([] { std::fputs("<", stderr); }, [] { std::fputs(">", stderr); });
  }
};

TEST_F(LogTest, ALineIsItsTimeLevelAndMessage) {
  log::set_level(log::Level::kDebug);
  for (const Kind& kind : kKinds) {
    // [^ ]*: the level is colored where the first line of the process went to a terminal.
    const std::string wanted = std::string("[0-9]{2}:[0-9]{2}:[0-9]{2} [^ ]*") + kind.name + "[^ ]* one two\n";
    EXPECT_THAT(written([&] { kind.write("one two"); }), MatchesRegex(wanted));
  }
}

TEST_F(LogTest, LinesBelowTheLevelAreLeftOut) {
  for (const Kind& least : kKinds) {
    log::set_level(least.level);
    for (const Kind& kind : kKinds) {
      EXPECT_EQ(written([&] { kind.write("one"); }).empty(), kind.level < least.level) << least.name << kind.name;
    }
  }
}

TEST_F(LogTest, APrefixStandsBeforeEachMessageUntilItIsTakenBack) {
  log::set_prefix("rank 1: ");
  EXPECT_THAT(written([] { log::warning("one"); }), MatchesRegex("[0-9:]+ [^ ]*warning[^ ]* rank 1: one\n"));
  log::set_prefix("");
  EXPECT_THAT(written([] { log::warning("one"); }), MatchesRegex("[0-9:]+ [^ ]*warning[^ ]* one\n"));
}

TEST_F(LogTest, BracesAreText) {
  log::set_prefix("{}: ");
  EXPECT_THAT(written([] { log::info("{} {0:x} }{"); }), HasSubstr(" {}: {} {0:x} }{\n"));
}

TEST_F(LogTest, TheScreenIsWipedBeforeALineAndDrawnAfterIt) {
  set_visible_hooks();
  EXPECT_THAT(written([] { log::info("one"); }), MatchesRegex("<[^<>]* one\n>"));
  log::set_screen_hooks({}, {});
  EXPECT_THAT(written([] { log::info("one"); }), MatchesRegex("[^<>]* one\n"));
}

TEST_F(LogTest, ALineThatIsLeftOutLeavesTheScreenAlone) {
  set_visible_hooks();
  log::set_level(log::Level::kWarning);
  EXPECT_EQ(written([] { log::info("one"); }), "");
}

TEST_F(LogTest, LinesOfSeveralThreadsDontMix) {
  constexpr int kThreads = 4, kLines = 100;
  set_visible_hooks();
  const std::string text = written([] {
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([] {
        for (int line = 0; line < kLines; ++line) log::info("one");
      });
    }
    for (std::thread& thread : threads) thread.join();
  });
  std::istringstream pieces(text);
  int count = 0;
  for (std::string piece; std::getline(pieces, piece, '>'); ++count) EXPECT_THAT(piece, MatchesRegex("<[^<\n]* one\n"));
  EXPECT_EQ(count, kThreads * kLines);
}

}  // namespace
}  // namespace nkat
