#include "core/message.h"

#include <array>
#include <cstdio>
#include <string>

#include <gtest/gtest.h>

namespace nkat {
namespace {

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
