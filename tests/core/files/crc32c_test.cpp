#include "core/files/crc32c.h"

#include <string>

#include <gtest/gtest.h>

namespace nkat {
namespace {

TEST(Crc32c, HasTheValuesOfRfc3720) {
  std::string ascending, descending;
  for (char byte = 0; byte < 32; ++byte) {
    ascending += byte;
    descending.insert(descending.begin(), byte);
  }
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAU);
  EXPECT_EQ(crc32c(std::string(32, '\xFF')), 0x62A8AB43U);
  EXPECT_EQ(crc32c(ascending), 0x46DD794EU);
  EXPECT_EQ(crc32c(descending), 0x113FDB5CU);
}

TEST(Crc32c, HasTheCheckValueOfTheCatalogueAndZeroForNothing) {
  EXPECT_EQ(crc32c("123456789"), 0xE3069283U);
  EXPECT_EQ(crc32c(""), 0U);
}

}  // namespace
}  // namespace nkat
