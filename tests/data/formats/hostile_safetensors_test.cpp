// safetensors files damaged everywhere: cut at every byte, every bit turned, thousands of random mutations, and the
// headers that take the most memory a byte.
#include <cstring>

#include <gtest/gtest.h>

#include "data/formats/safetensors.h"
#include "tests/support/counted_memory.h"
#include "tests/support/mutations.h"

namespace nkat::data {
namespace {

void read(const std::string& bytes) {
  nkat::testing::read_within_memory(
      [](const std::string& file) { parse_safetensors(std::as_bytes(std::span(file)), "x.safetensors"); }, bytes);
}

std::string sound_file() {
  const std::string data(24, 'x');
  const auto bytes = std::as_bytes(std::span(data));
  return serialize_safetensors({{"model.weight", DType::kF32, {2, 3}, bytes},
                                {"bias", DType::kBF16, {1, 1}, bytes.first(2)},
                                {"empty", DType::kI64, {0, 5}, {}},
                                {"scalar", DType::kU8, {}, bytes.first(1)}},
                               {{"format", "pt"}});
}

std::string file_of(const std::string& header) {
  const std::uint64_t length = header.size();
  std::string file(8, '\0');
  std::memcpy(file.data(), &length, 8);
  return file + header;
}

TEST(HostileSafetensors, RefusesEveryTruncation) {
  const std::string file = sound_file();
  EXPECT_EQ(nkat::testing::refused_truncations(read, file), static_cast<int>(file.size()));
}

// Flips in names, metadata and data can leave a sound file.
TEST(HostileSafetensors, SurvivesEveryBitFlip) {
  EXPECT_GT(nkat::testing::refused_bit_flips(read, sound_file()), 8 * 8);
}

TEST(HostileSafetensors, SurvivesTenThousandMutations) {
  const nkat::testing::MutationCounts counts = nkat::testing::survive_mutations(read, sound_file(), 10'000);
  RecordProperty("refused", counts.refused);
  EXPECT_EQ(counts.tried, 10'000);
  EXPECT_GT(counts.refused, 8'000);
}

TEST(HostileSafetensors, StaysWithinItsMemoryForTheWorstHeaders) {
  std::string tensors = "{";
  std::string metadata = R"({"__metadata__":{)";
  for (int i = 0; i < 131'072; ++i) {
    const std::string number = std::to_string(1'000'000 + i);
    tensors += (i == 0 ? "\"" : ",\"") + number + std::string(249, 'n') +
               R"(":{"dtype":"U8","shape":[0,1,1,1,1,1,1,1],"data_offsets":[0,0]})";
    metadata += (i == 0 ? "\"" : ",\"") + number + R"(":"seventeen letters")";
  }
  EXPECT_NO_THROW(read(file_of(tensors + "}")));
  EXPECT_NO_THROW(read(file_of(metadata + "}}")));
  EXPECT_NO_THROW(nkat::testing::complaint_about(read, file_of(metadata + "},\"a\":" + std::string(40 << 20, '['))));
}

}  // namespace
}  // namespace nkat::data
