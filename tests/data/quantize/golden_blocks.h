// What libggml (ggml_quantize_chunk of xllamacpp 2026.10.11549) makes of fixed weights: one block of golden_values as
// hex, and the digest of 16 rows of golden_rows.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "data/quantize/ggml_type.h"

namespace nkat::gguf::testing {

struct GoldenBlock {
  GgmlType type;
  bool with_importance;
  std::string_view hex;
};

// Multiples of 1/64, so that they are the same everywhere.
inline std::vector<float> golden_values(std::size_t count) {
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    values[i] = (static_cast<float>((i * 37 + 11) % 101) - 50.0f) / 64.0f + (i % 7 == 3 ? 0.75f : 0.0f);
  }
  return values;
}

inline std::vector<float> golden_importance(std::size_t count) {
  std::vector<float> importance(count);
  for (std::size_t i = 0; i < count; ++i) importance[i] = 1.0f + static_cast<float>((i * 7) % 13);
  return importance;
}

constexpr std::int64_t kGoldenRowLength = 1024;

// The upper 24 bits of a linear congruential generator.
class GoldenBits {
 public:
  explicit GoldenBits(std::uint32_t seed) : state_(seed) {}
  std::uint32_t next() { return (state_ = state_ * 1664525u + 1013904223u) >> 8; }

 private:
  std::uint32_t state_;
};

// Cubes of numbers spread evenly between -1/2 and 1/2, times a power of two that changes every 32 columns; one in 16 is
// zero.
inline std::vector<float> golden_rows() {
  GoldenBits bits(1);
  std::vector<float> values;
  for (int i = 0; i < 16 * kGoldenRowLength; ++i) {
    const std::uint32_t drawn = bits.next();
    const float x = static_cast<float>(drawn) * 0x1p-24f - 0.5f;
    values.push_back(drawn % 16 == 0 ? 0.0f * x : std::ldexp(x * x * x, (i / 32) % 36 - 24));
  }
  return values;
}

inline std::vector<float> golden_row_importance() {
  GoldenBits bits(2);
  std::vector<float> importance;
  for (int i = 0; i < kGoldenRowLength; ++i) importance.push_back(static_cast<float>(bits.next() % 17) / 8.0f);
  return importance;
}

inline std::string hex(std::span<const std::byte> bytes) {
  std::string text;
  for (const std::byte byte : bytes) text += fmt::format("{:02x}", static_cast<unsigned>(byte));
  return text;
}

using enum GgmlType;

inline constexpr GoldenBlock kGoldenBlocks[] = {
    {kF32, false, "00001cbf000000bd00000c3f0000983e0000003e0000343f000098be0000903e"},
    {kF16, false, "e0b800a86038c0340030a039c0b48034"},
    {kBF16, false, "1cbf00bd0c3f983e003e343f98be903e"},
    {kQ8_0, false, "9b21c8fd321b0b40e51abef36ccd0136db10442e1ec3f72cd1067fdf14b9ed22c740"},
    {kQ4_0, false, "90b14c5865c69754ba860ca971cb9865ca47"},
    {kQ4_0, true, "84b14c5865c69754ba860ca971db9865ca47"},
    {kQ5_0, false, "90ad435b585a77a0ca8d1fa863fd0842d29620c9758e"},
    {kQ5_0, true, "84ad435b585a77a0ca8d1fa863fd0842d29720c9758e"},
    {kQ5_1, false, "7c2c40ba242427a1622b032fad2547cff169ec038b14255e"},
    {kQ5_1, true, "7e2c3cba242427a1622b032fad2547cff169ec038b04255e"},
    {kQ4_K, false,
     "e7183f22fff2fef8fff7fcfdeed992fea12579b7368a634790146da125d9c2368a0857a17468b2267ec347f00458a12a"
     "36790847807458a1256eb236da0357901968a18579b2468f1357f12468a23b79801958917569a2367f0347e01458a12a"
     "69b2968a0357961468f23579b34c8a142b6a92867b0348861459e1266aa23d7c039880155997266bf2377c144f8025ba"},
    {kQ4_K, true,
     "e3185222fff3fef7fdf9fbfccdcba3ffa12579b7368a634790146db125d9c2468a0857a18468b2357ec346f01458a12a"
     "36790847907458a1257eb236ea0357901968a18579b2468f1357f02468b23b79801958917569a2367f0347d01458912a"
     "69a2967a0347861458f12579b34c8a142b6a92877b0348861459e1266aa23d7c039880155997266bf3377c144f8025aa"},
    {kQ5_K, false,
     "c7145722fcf1fff7fff8fcfdfedab1ff625495a248136488124489224c93625817e5a93a46c9224c93624812649936c5"
     "524be38f7d15c79f4129cc635bc4957e2602a0420ad2746c0fa68ef018b152456bf3009e20e8b0425aec747cc416ae31"
     "33c0531be2758d1f17aff149d16365f30022a032fad2546cff069ec129b13355d3652d05179f2c39c1f35be366880618"
     "49b6340ee807810d2aa4c24cc6456ce91832003ab4205dd7f670fa189f113b55"},
    {kQ5_K, true,
     "b9146a22fdf1fff8fef6fcfcfdcda2ef625495a248136488124489224c93625817e5a91a46d9224c93624812649936c5"
     "524be38f6d15c79f3129cc635bc3957d2602a0410ad2745c0fa68ef018b052356cf4009e20e8b0425aec747cc4169e21"
     "33c1531be3758d1f17aff149d16366f30023a122ebc3456def078fb129a13346d3551df617901c3ab2e45cd466790618"
     "48c5440ee807810c29a3c24cc6456ce91731103ab4305dd7f670fa189f113b65"},
    {kQ6_K, false,
     "e00161a82d4d68e80314a0dff0709b1b3f75b8ff4285cc1f5098db2265a7fe30bd918c684bc71ff6e1c4a09c0f604629"
     "e7041372cadf6e8b1a2916d0e30291ae81e428de91c48a1e70276a10d3071d7f9d8e5b4839a60ee4c1b1ae7c0c413727"
     "d6e10262a94d5e79091405c1d0f0819c0d3f75d9013395dd0f6099fc2e66b8ff935ed59179649629a74e28920ae19279"
     "949d695656259249e49229a35e698659874d795646e59269e49e39a34e398648e45275a49e59a54a259349a48278a41a"
     "9f8eb6a69280ac988aaf9e91b6a89887430e"},
    {kQ6_K, true,
     "e00161a82d4d68e80314a0dff0709b1b3f75b8ff4285cc1f5098db2265a7fe30bd918c684bc71ff6e1c4a09c0f604629"
     "e7041372cadf6e8b1a2916d0e30291be71e428de81d47a1e70276a10c3170d609d8e5b4739b60ef4c0b2ae7b1d303627"
     "d6e10262a94d5e69091405c1d0e0819cfd4075c9004396dd1f6199ec2e65b8ff935ed59179649629a74e28920ae19279"
     "949d695656259249e49229a35e698659874d795646e59269e49e39a34e398649a45675a49e59a54a259349a48278a41a"
     "9f8eb6a69280ac9889b29f8eb9a59a83460e"},
};

struct GoldenDigest {
  GgmlType type;
  bool with_importance;
  std::string_view sha256;  // its first 16 digits
};

inline constexpr GoldenDigest kGoldenDigests[] = {
    {kF32, false, "7ad154c5ce3c7df0"},  {kF16, false, "dd3ad88e8dd24a1b"},  {kBF16, false, "67c717e195839795"},
    {kQ8_0, false, "9f49adf308810701"}, {kQ4_0, false, "91e98f8887a248a8"}, {kQ4_0, true, "99faf41e56b3fa64"},
    {kQ5_0, false, "e9d06354881e6e51"}, {kQ5_0, true, "1414401e3e118b7d"},  {kQ5_1, false, "29d7290e5e359ccb"},
    {kQ5_1, true, "6d00679af3a62263"},  {kQ4_K, false, "ee33c7ddbb364fee"}, {kQ4_K, true, "b33190eba3ad6719"},
    {kQ5_K, false, "f88d6be114651b29"}, {kQ5_K, true, "467344628ea88404"},  {kQ6_K, false, "ed971eda87a9bde5"},
    {kQ6_K, true, "db6b954092d1b085"},
};

}  // namespace nkat::gguf::testing
