// Damaged copies of a file's bytes: a reader must refuse each with an nkat::Error or accept it, and never do anything
// else.
#pragma once

#include <algorithm>
#include <cstring>
#include <ctime>
#include <functional>
#include <random>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/message_of.h"

namespace nkat::testing {

using Reader = std::function<void(const std::string& bytes)>;

// The message of the error that the reader throws, or "" if it accepts.
inline std::string complaint_about(const Reader& read, const std::string& bytes) {
  return message_of([&] { read(bytes); });
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

// One to four damages of every kind that files meet: turned bits, other bytes, numbers at the edges of their types put
// anywhere, stretches removed, doubled or put elsewhere, the end cut off or lengthened.
inline std::string mutated(const std::string& bytes, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto below = [&](std::size_t count) {
    return static_cast<std::size_t>(random() % std::max<std::size_t>(count, 1));
  };
  static constexpr std::uint64_t kEdges[] = {0,          1,          2,          0x7F,       0x80,       0xFF,
                                             0x7FFF,     0xFFFF,     0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x100000000,
                                             1ULL << 40, 1ULL << 62, ~0ULL >> 1, 1ULL << 63, ~0ULL - 7,  ~0ULL};
  std::string damaged = bytes;
  for (std::size_t count = 1 + below(4); count > 0 && !damaged.empty(); --count) {
    const std::size_t at = below(damaged.size());
    const std::size_t length = std::min(1 + below(16), damaged.size() - at);
    const std::uint64_t edge = kEdges[below(std::size(kEdges))];
    switch (below(7)) {
      case 0: damaged[at] = static_cast<char>(damaged[at] ^ (1 << below(8))); break;
      case 1: damaged[at] = static_cast<char>(random()); break;
      case 2: std::memcpy(damaged.data() + at, &edge, std::min(std::size_t{1} << below(4), damaged.size() - at)); break;
      case 3: damaged.erase(at, length); break;
      case 4: damaged.insert(at, damaged.substr(at, length)); break;
      case 5: damaged.insert(below(damaged.size()), damaged.substr(at, length)); break;
      default: damaged.resize(below(3) == 0 ? at : damaged.size() + length, '\x7F');
    }
  }
  return damaged;
}

struct MutationCounts {
  int tried = 0;
  int refused = 0;
};

// Of the processor's time, so that other work on the machine doesn't count. Mutations take microseconds, some tens of
// them under the sanitizers: more is a reader that hangs.
#if defined(__SANITIZE_ADDRESS__)
inline constexpr int kMutationSeconds = 60;
#else
inline constexpr int kMutationSeconds = 10;
#endif

// `count` mutations, seeds from 0; an exception that is no nkat::Error, or not of exit code 3, fails the test, as do
// more than kMutationSeconds.
inline MutationCounts survive_mutations(const Reader& read, const std::string& bytes, int count) {
  const std::clock_t start = std::clock();
  MutationCounts counts;
  for (; counts.tried < count; ++counts.tried) {
    try {
      read(mutated(bytes, static_cast<std::uint64_t>(counts.tried)));
    } catch (const Error& error) {
      EXPECT_EQ(error.exit_code(), ExitCode::kInput) << "seed " << counts.tried << ": " << error.what();
      EXPECT_LT(std::strlen(error.what()), 2000U) << "seed " << counts.tried;
      ++counts.refused;
    } catch (const std::exception& error) {
      ADD_FAILURE() << "seed " << counts.tried << ": " << error.what();
    }
  }
  EXPECT_LT(std::clock() - start, std::clock_t{kMutationSeconds} * CLOCKS_PER_SEC);
  return counts;
}

}  // namespace nkat::testing
