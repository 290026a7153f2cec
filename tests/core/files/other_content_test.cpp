#include "core/files/other_content.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/message_of.h"

namespace nkat {
namespace {

using namespace std::string_literals;

TEST(OtherContent, OfAFailedDownloadIsNamed) {
  EXPECT_EQ(other_content(""), "an empty file");
  for (const char* page : {"<!DOCTYPE html>", "<!doctype HTML PUBLIC", "\n <html lang=\"en\">", "\xEF\xBB\xBF<HTML>",
                           "<?xml version=\"1.0\"?><Error>"})
    EXPECT_EQ(other_content(page), "a web page") << page;
  EXPECT_EQ(other_content("Entry not found"), "the text 'Entry not found'");
  EXPECT_EQ(other_content("Access denied\nsee https://x"), "the text 'Access denied'");
}

TEST(OtherContent, BytesAndLongTextsAreNone) {
  for (const std::string& bytes : {"GGUF\3\0\0\0"s, "\x40\0\0\0\0\0\0\0{}"s, "caf\xC3\xA9"s, std::string(1025, 'a')})
    EXPECT_EQ(other_content(bytes), "") << bytes;
  EXPECT_FALSE(is_web_page("{\"text\":\"<html>\"}"));
  EXPECT_FALSE(is_web_page("<htm"));
}

TEST(OtherContent, IsRefusedInTheNameOfWhatWasExpected) {
  EXPECT_EQ(
      testing::message_of<FormatError>([] { refuse_other_content("Entry not found", "a safetensors file", "m.x"); }),
      "m.x: expected a safetensors file, found the text 'Entry not found'; download it again");
  EXPECT_EQ(testing::message_of<FormatError>([] { refuse_other_content("\1\2", "a safetensors file", "m.x"); }), "");
}

}  // namespace
}  // namespace nkat
