#include "data/quantize/ggml_type.h"

#include <set>

#include <gtest/gtest.h>

namespace nkat::gguf {
namespace {

using enum GgmlType;

constexpr std::uint32_t kHighestId = 42;

TEST(GgmlType, RetiredAndUnknownIdsAreNoTypes) {
  const std::set<std::uint32_t> retired = {4, 5, 31, 32, 33, 36, 37, 38};
  for (std::uint32_t id = 0; id <= kHighestId; ++id)
    EXPECT_EQ(ggml_type_of(id).has_value(), !retired.contains(id)) << id;
  EXPECT_FALSE(ggml_type_of(kHighestId + 1));
  EXPECT_FALSE(ggml_type_of(0xFFFFFFFF));
}

TEST(GgmlType, NamesAreUniqueAndFoundInEitherCase) {
  for (std::uint32_t id = 0; id <= kHighestId; ++id) {
    const auto type = ggml_type_of(id);
    if (type) {
      EXPECT_EQ(parse_ggml_type(traits(*type).name), type);
    }
  }
  EXPECT_EQ(parse_ggml_type("q4_k"), kQ4_K);
  EXPECT_EQ(parse_ggml_type("BF16"), kBF16);
  EXPECT_FALSE(parse_ggml_type("q4_k_m"));
  EXPECT_FALSE(parse_ggml_type(""));
}

TEST(GgmlType, TensorsAreMeasuredInWholeBlocks) {
  EXPECT_EQ(tensor_bytes(kF32, 3), 12u);
  EXPECT_EQ(tensor_bytes(kQ8_0, 64), 68u);
  EXPECT_EQ(tensor_bytes(kQ4_K, 3072), 12u * 144u);
  EXPECT_EQ(tensor_bytes(kQ6_K, 0), 0u);
  EXPECT_FALSE(tensor_bytes(kQ4_0, 33));
  EXPECT_FALSE(tensor_bytes(kQ5_K, 32));
}

TEST(GgmlType, SizesBeyondSixtyFourBitsAreNoSizes) {
  EXPECT_EQ(tensor_bytes(kF32, 0x3FFFFFFFFFFFFFFF), 0xFFFFFFFFFFFFFFFC);
  EXPECT_FALSE(tensor_bytes(kF32, 0x4000000000000000));
  EXPECT_FALSE(tensor_bytes(kF64, 0x2000000000000000));
  EXPECT_EQ(tensor_bytes(kQ8_0, 0xFFFFFFFFFFFFFFE0), std::nullopt);
}

TEST(GgmlType, RowsThatDontFillSuperBlocksFallBack) {
  for (const GgmlType type : {kF32, kF16, kBF16, kQ8_0, kQ4_0, kQ5_0, kQ5_1, kQ4_K, kQ5_K, kQ6_K}) {
    EXPECT_EQ(storable_type(type, 3072), type);
  }
  EXPECT_EQ(storable_type(kQ4_K, 96), kQ5_0);
  EXPECT_EQ(storable_type(kQ5_K, 96), kQ5_1);
  EXPECT_EQ(storable_type(kQ6_K, 96), kQ8_0);
  EXPECT_EQ(storable_type(kQ4_0, 96), kQ4_0);
}

TEST(GgmlType, RowsThatFillNoBlockAreStoredAsHalves) {
  for (const GgmlType type : {kQ8_0, kQ4_0, kQ5_0, kQ5_1, kQ4_K, kQ5_K, kQ6_K})
    EXPECT_EQ(storable_type(type, 100), kF16);
  EXPECT_EQ(storable_type(kF32, 100), kF32);
  EXPECT_EQ(storable_type(kBF16, 7), kBF16);
}

}  // namespace
}  // namespace nkat::gguf
