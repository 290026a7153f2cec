#include "core/files/base64.h"

#include <gtest/gtest.h>

namespace nkat {
namespace {

TEST(Base64, EqualsTheVectorsOfRfc4648) {
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("f"), "Zg==");
  EXPECT_EQ(base64("fo"), "Zm8=");
  EXPECT_EQ(base64("foo"), "Zm9v");
  EXPECT_EQ(base64("foob"), "Zm9vYg==");
  EXPECT_EQ(base64("fooba"), "Zm9vYmE=");
  EXPECT_EQ(base64("foobar"), "Zm9vYmFy");
}

TEST(Base64, TakesAnyByteAndBreaksNoLine) {
  EXPECT_EQ(base64(std::string("\0\xfb\xff\xfe", 4)), "APv//g==");
  EXPECT_EQ(base64(std::string(300, '\0')), std::string(400, 'A'));
}

}  // namespace
}  // namespace nkat
