#include "core/message.h"

#include <array>
#include <cstdio>
#include <string>

#include <gtest/gtest.h>

namespace nkat {
namespace {

TEST(Message, SaysWhatWasExpectedWhatWasFoundAndWhatToDoNext) {
  EXPECT_EQ(expected("a number", "'x'"), "expected a number, found 'x'");
  EXPECT_EQ(expected("a number", "'x'", "leave it out"), "expected a number, found 'x'; leave it out");
}

TEST(Message, NamesThatAreAllowedStandInOneList) {
  EXPECT_EQ(one_of({"a", "b", "c"}), "one of a, b, c");
  EXPECT_EQ(one_of({"a"}), "one of a");
}

TEST(Message, TheFirstLineEndsAtALineBreak) {
  EXPECT_EQ(first_line("out of memory\nframe #0\nframe #1"), "out of memory");
  EXPECT_EQ(first_line("one line"), "one line");
  EXPECT_EQ(first_line("\nsecond"), "");
}

TEST(ShellQuote, LeavesPlainWordsAlone) { EXPECT_EQ(shell_quoted("runs/mine-1.gguf"), "runs/mine-1.gguf"); }

TEST(ShellQuote, TheShellReadsBackEveryWord) {
  for (const std::string word : {"", "a b", "it's", "$HOME", "`x`", "a\\b", "*?[", "\"", "new\nline", "-n", "ä 世"}) {
    FILE* shell = ::popen(("printf %s. " + shell_quoted(word)).c_str(), "r");
    ASSERT_NE(shell, nullptr);
    std::array<char, 64> text{};
    const std::size_t size = std::fread(text.data(), 1, text.size(), shell);
    ::pclose(shell);
    EXPECT_EQ(std::string(text.data(), size), word + ".") << word;
  }
}

}  // namespace
}  // namespace nkat
