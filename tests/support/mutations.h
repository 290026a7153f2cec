// Damaged copies of a file's bytes: a reader must refuse each with an nkat::Error or accept it, and never do anything
// else.
#pragma once

#include <gtest/gtest.h>
#include <functional>
#include <string>
#include <string_view>

#include "core/error.h"

namespace nkat::testing {

using Reader = std::function<void(const std::string& bytes)>;

// The message of the error that the reader throws, or "" if it accepts.
inline std::string complaint_about(const Reader& read, const std::string& bytes) {
  try {
    read(bytes);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

// How many of the truncations at every byte (the whole file aside) were refused; other exceptions fail the test.
inline int refused_truncations(const Reader& read, const std::string& bytes) {
  int refused = 0;
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_NO_THROW(refused += complaint_about(read, bytes.substr(0, length)).empty() ? 0 : 1) << "cut to " << length;
  }
  return refused;
}

// The same for every single bit turned over in bytes [begin, end).
inline int refused_bit_flips(const Reader& read, const std::string& bytes, std::size_t begin = 0,
                             std::size_t end = std::string::npos) {
  int refused = 0;
  for (std::size_t i = begin; i < std::min(end, bytes.size()); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string damaged = bytes;
      damaged[i] = static_cast<char>(damaged[i] ^ (1 << bit));
      EXPECT_NO_THROW(refused += complaint_about(read, damaged).empty() ? 0 : 1) << "byte " << i << " bit " << bit;
    }
  }
  return refused;
}

}  // namespace nkat::testing
