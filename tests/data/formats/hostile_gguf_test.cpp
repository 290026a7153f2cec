// GGUF files damaged everywhere: cut at every byte, every bit of the header turned, thousands of random mutations. The
// reader refuses or accepts each, within the memory it promises.
#include <gtest/gtest.h>

#include "core/error.h"
#include "data/formats/gguf_header.h"
#include "tests/support/counted_memory.h"
#include "tests/support/mutations.h"
#include "tests/support/raw_gguf.h"

namespace nkat::gguf {
namespace {

using nkat::testing::raw_array;
using nkat::testing::raw_pair;
using nkat::testing::raw_tensor;
using nkat::testing::raw_text;
using nkat::testing::RawGguf;

// Reads as a user would: the file, then every value and tensor that it names.
void use(const std::string& bytes) {
  const GgufHeader header = parse_gguf(std::as_bytes(std::span(bytes)), "x.gguf");
  for (const auto& [key, value] : header.metadata.pairs()) {
    value.preview(80);
    if (value.is_array_of_strings() && value.count() < 1000) header.metadata.strings(key, value.count());
  }
  for (const GgufTensor& tensor : header.tensors)
    ASSERT_LE(header.data_begin + tensor.offset + tensor.bytes, bytes.size());
}
void read(const std::string& bytes) { nkat::testing::read_within_memory(use, bytes); }

TEST(HostileGguf, RefusesEveryTruncationOfTheHeader) {
  const RawGguf file;
  const std::string header = file.bytes().substr(0, file.bytes().size() - file.data.size());
  EXPECT_EQ(nkat::testing::refused_truncations(read, header), static_cast<int>(header.size()));
}

TEST(HostileGguf, RefusesEveryTruncationOfTheDataButForTheLastPadding) {
  const std::string file = RawGguf{}.bytes();
  EXPECT_EQ(nkat::testing::refused_truncations(read, file), static_cast<int>(file.size()) - 30);
}

TEST(HostileGguf, SurvivesEveryBitFlip) {
  const std::string file = RawGguf{}.bytes();
  EXPECT_GT(nkat::testing::refused_bit_flips(read, file), 24 * 8);
}

TEST(HostileGguf, SurvivesTenThousandMutations) {
  const nkat::testing::MutationCounts counts = nkat::testing::survive_mutations(read, RawGguf{}.bytes(), 10'000);
  RecordProperty("refused", counts.refused);
  EXPECT_EQ(counts.tried, 10'000);
  EXPECT_GT(counts.refused, 8'000);
}

// Files that take the most memory a byte: as many of the smallest things as their limits allow.
TEST(HostileGguf, StaysWithinItsMemoryForTheWorstFiles) {
  RawGguf tensors{.pairs = {}, .tensors = {}, .data = ""};
  for (std::uint64_t i = 0; i < kMostTensors; ++i)
    tensors.tensors.push_back(raw_tensor(std::to_string(i), {1}, 24, 32 * i));
  tensors.data.assign(32 * kMostTensors, 'x');
  EXPECT_NO_THROW(read(tensors.bytes()));
  RawGguf pairs{.pairs = {}, .tensors = {}, .data = ""};
  for (std::uint64_t i = 0; i < kMostPairs; ++i) pairs.pairs.push_back(raw_pair(std::to_string(i), 0, "x"));
  EXPECT_NO_THROW(read(pairs.bytes()));
  RawGguf strings{.tensors = {}, .data = ""};
  strings.pairs.push_back(raw_pair("k", 9, raw_array(8, 4'000'000, std::string(8 * 4'000'000, '\0'))));
  EXPECT_NO_THROW(read(strings.bytes()));
}

}  // namespace
}  // namespace nkat::gguf
