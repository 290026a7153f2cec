#include "core/files/sha256.h"

#include <gtest/gtest.h>

namespace nkat {
namespace {

// Vectors of FIPS 180-4's examples.
TEST(Sha256, EqualsThePublishedVectors) {
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST(Sha256, IsTheSameInPieces) {
  const std::string text(100'000, 'z');
  Sha256 hash;
  for (std::size_t i = 0; i < text.size(); i += 777) hash.update(std::string_view(text).substr(i, 777));
  EXPECT_EQ(hash.hex(), sha256_hex(text));
}

}  // namespace
}  // namespace nkat
