#include "core/cli/progress.h"

#include <cstdio>
#include <pty.h>
#include <string>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/cli/log.h"

namespace nkat {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

const std::string kWipe = "\r\033[K";

// Standard error is a terminal while it lives.
class Terminal {
 public:
  explicit Terminal(unsigned short columns) {
    const winsize size{.ws_row = 24, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0};
    int end = -1;
    if (::openpty(&master_, &end, nullptr, nullptr, &size) != 0) return;
    before_ = ::dup(STDERR_FILENO);
    ::dup2(end, STDERR_FILENO);
    ::close(end);
  }
  Terminal(const Terminal&) = delete;
  ~Terminal() {
    if (!is_open()) return;
    ::dup2(before_, STDERR_FILENO);
    ::close(before_);
    ::close(master_);
  }

  bool is_open() const { return before_ >= 0; }
  // What came since the last call; a terminal hands it on late, so a mark is waited for.
  std::string text() const {
    std::fputc('\x01', stderr);
    std::string all;
    for (char one = 0; ::read(master_, &one, 1) == 1 && one != '\x01';) all.push_back(one);
    return all;
  }

 private:
  int master_ = -1;
  int before_ = -1;
};

class ProgressBarOnATerminal : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!terminal_.is_open()) GTEST_SKIP() << "no pseudo-terminal can be opened";
  }
  Terminal terminal_{54};
};

TEST(FormatDuration, ChangesTheUnitsAtAMinuteAndAnHour) {
  EXPECT_EQ(format_duration(0), "0 s");
  EXPECT_EQ(format_duration(59.5), "1 min 0 s");
  EXPECT_EQ(format_duration(3599), "59 min 59 s");
  EXPECT_EQ(format_duration(3600), "1 h 0 min");
  EXPECT_EQ(format_duration(12'000), "3 h 20 min");
}

TEST(FormatBytes, ChangesTheUnitAtEachPowerOf1024) {
  EXPECT_EQ(format_bytes(512 * 1024), "512 KiB");
  EXPECT_EQ(format_bytes(1024 * 1024), "1 MiB");
  EXPECT_EQ(format_bytes(1024.0 * 1024 * 1024), "1.00 GiB");
  EXPECT_EQ(format_bytes(11.5 * 1024 * 1024 * 1024), "11.50 GiB");
}

TEST(ProgressBar, OffATerminalTheLastUpdateIsALogLine) {
  ::testing::internal::CaptureStderr();
  {
    ProgressBar bar("load", 3);
    bar.update(1, "slow");
    bar.update(3, "fine");
  }
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), MatchesRegex("[0-9:]+ [^ ]*info[^ ]* load 3/3  fine\n"));
}

TEST_F(ProgressBarOnATerminal, ALogLineReplacesTheBarWhichIsDrawnBelowIt) {
  const ProgressBar bar("train", 4);
  log::info("saved");
  EXPECT_THAT(terminal_.text(),
              MatchesRegex("\r\033\\[K[0-9:]+ [^ ]*info[^ ]* saved\r\n\r\033\\[K\\[[.]{20}\\] train 0/4  "));
}

TEST_F(ProgressBarOnATerminal, TheBarFillsAndTellsTheTimeThatIsLeft) {
  ProgressBar bar("load", 4);
  bar.update(1, "a");
  log::info("draw");
  EXPECT_THAT(terminal_.text(), ContainsRegex("\\[#####[.]{15}\\] load 1/4  a  [0-9a-z ]+ left$"));
  bar.update(4, "b");
  EXPECT_THAT(terminal_.text(), EndsWith("[####################] load 4/4  b"));
}

TEST_F(ProgressBarOnATerminal, WorkDoneBeforeTheStartGivesNoEstimate) {
  const ProgressBar bar("train", 4, 2);
  log::info("draw");
  EXPECT_THAT(terminal_.text(), EndsWith("[##########..........] train 2/4  "));
}

TEST_F(ProgressBarOnATerminal, ABarPastItsTotalIsFull) {
  ProgressBar bar("encode", 4);
  bar.update(9, "grown");
  EXPECT_THAT(terminal_.text(), EndsWith("[####################] encode 9/4  grown"));
}

TEST_F(ProgressBarOnATerminal, TheBarStaysBelowTheWidth) {
  ProgressBar bar("train", 1);
  bar.update(1, std::string(100, 'x'));
  EXPECT_EQ(terminal_.text(), kWipe + "[####################] train 1/1  " + std::string(19, 'x'));
}

TEST_F(ProgressBarOnATerminal, TheLastStateStaysAndIsDrawnNoMore) {
  {
    ProgressBar bar("nothing", 0);
    bar.update(0, "done");
  }
  EXPECT_THAT(terminal_.text(), EndsWith(kWipe + "[####################] nothing 0/0  done\r\n"));
  log::info("after");
  EXPECT_THAT(terminal_.text(), AllOf(EndsWith(" after\r\n"), Not(HasSubstr(kWipe))));
}

}  // namespace
}  // namespace nkat
