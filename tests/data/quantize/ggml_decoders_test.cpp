#include "data/quantize/ggml_decoders.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <ggml.h>
#include <vector>

#include <gtest/gtest.h>

#include "core/random.h"
#include "data/quantize/quantize.h"

namespace nkat::gguf {
namespace {

std::vector<GgmlType> every_type() {
  std::vector<GgmlType> types;
  for (std::uint32_t id = 0; id < GGML_TYPE_COUNT; ++id) {
    if (const auto type = ggml_type_of(id)) types.push_back(*type);
  }
  return types;
}

std::vector<std::byte> random_blocks(GgmlType type, std::uint64_t elements) {
  RandomStream random(7, "blocks", static_cast<std::uint64_t>(type));
  std::vector<std::byte> bytes(*tensor_bytes(type, elements));
  for (std::byte& one : bytes) one = static_cast<std::byte>(random.uniform() * 256);
  return bytes;
}

TEST(GgmlDecoders, TheTableOfTypesIsGgmls) {
  EXPECT_EQ(every_type().size(), 35U);
  for (const GgmlType type : every_type()) {
    const GgmlTypeTraits& ours = traits(type);
    const ggml_type_traits& theirs = *ggml_get_type_traits(static_cast<ggml_type>(type));
    EXPECT_STREQ(ours.name, theirs.type_name);
    EXPECT_EQ(ours.block_elements, static_cast<std::uint64_t>(theirs.blck_size)) << ours.name;
    EXPECT_EQ(ours.block_bytes, theirs.type_size) << ours.name;
    EXPECT_EQ(ours.has_decoder, theirs.to_float != nullptr || type == GgmlType::kF32) << ours.name;
    EXPECT_TRUE(ours.has_decoder || !ours.has_encoder) << ours.name;
  }
}

TEST(GgmlDecoders, EveryTypeThatGgmlDecodesIsDecodedToTheSameBits) {
  constexpr std::uint64_t kElements = 8 * 256;
  int decoded = 0;
  for (const GgmlType type : every_type()) {
    if (!traits(type).has_decoder) continue;
    ++decoded;
    if (type == GgmlType::kF32) continue;
    const std::vector<std::byte> blocks = random_blocks(type, kElements);
    std::vector<float> ours(kElements), theirs(kElements);
    decode_rows(type, blocks, ours);
    decode_by_ggml(type, blocks, theirs);
    for (std::size_t i = 0; i < kElements; ++i) {
      const bool both_nan = std::isnan(ours[i]) && std::isnan(theirs[i]);
      EXPECT_TRUE(both_nan || std::bit_cast<std::uint32_t>(ours[i]) == std::bit_cast<std::uint32_t>(theirs[i]))
          << traits(type).name << " " << i << ": " << ours[i] << " and " << theirs[i];
    }
  }
  EXPECT_EQ(decoded, 28);
}

// d = 0.5, m = -2; the low half of byte j is element j, the high one element j + 16: x = d q + m.
TEST(GgmlDecoders, AQ41BlockIsScaleTimesLevelPlusMinimum) {
  std::vector<std::byte> block = {std::byte{0x00}, std::byte{0x38}, std::byte{0x00}, std::byte{0xC0}};
  for (int j = 0; j < 16; ++j) block.push_back(static_cast<std::byte>(j | (15 - j) << 4));
  std::vector<float> values(32);
  decode_rows(GgmlType::kQ4_1, block, values);
  for (int j = 0; j < 16; ++j) {
    EXPECT_EQ(values[static_cast<std::size_t>(j)], 0.5F * static_cast<float>(j) - 2);
    EXPECT_EQ(values[static_cast<std::size_t>(16 + j)], 0.5F * static_cast<float>(15 - j) - 2);
  }
}

TEST(GgmlDecoders, AScaleThatIsNoNumberStaysOneInTheValues) {
  for (const GgmlType type : {GgmlType::kQ4_1, GgmlType::kQ2_K, GgmlType::kIQ4_XS, GgmlType::kIQ1_S}) {
    const std::size_t size = traits(type).block_bytes;
    std::vector<std::byte> block(size, std::byte{0x7F});  // every half is a NaN
    std::vector<float> values(traits(type).block_elements);
    decode_rows(type, block, values);
    EXPECT_TRUE(std::isnan(values[0])) << traits(type).name;
  }
}

}  // namespace
}  // namespace nkat::gguf
