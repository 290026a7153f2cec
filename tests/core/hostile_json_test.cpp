// JSON damaged everywhere: cut at every byte, every bit turned, thousands of random mutations, and the texts that take
// the most memory a byte. Each is refused or read, within the memory that core/json.h promises.
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/json.h"
#include "tests/support/counted_memory.h"
#include "tests/support/mutations.h"

namespace nkat {
namespace {

const std::string kText =
    R"({"b":[1,-2,3.5e1],"a":{"x":null,"y":true,"deep":[[{"k":[]}]]},"c":"\u3053\ud83e\udd99 t","d":[{"dtype":"F32",)"
    R"("shape":[2,3],"data_offsets":[0,24]},{"dtype":"BF16","shape":[],"data_offsets":[24,26]}]})";

void read(const std::string& bytes) {
  testing::read_within_memory([](const std::string& text) { parse_json(text, "x"); }, bytes);
}

// By each of the ways in which the program reads JSON.
void read_by_all_ways(const std::string& bytes) {
  const auto ignore = [](const std::string&, const nlohmann::json&) {};
  testing::read_within_memory([&](const std::string& text) { for_each_json_entry(text, "x", ignore); }, bytes);
  testing::read_within_memory([](const std::string& text) { parse_large_json(text, "x", {"a", "d"}); }, bytes);
  read(bytes);
}

TEST(HostileJson, RefusesEveryTruncation) {
  EXPECT_EQ(testing::refused_truncations(read, kText), static_cast<int>(kText.size()));
}

TEST(HostileJson, SurvivesEveryBitFlip) { EXPECT_GT(testing::refused_bit_flips(read_by_all_ways, kText), 500); }

TEST(HostileJson, SurvivesTenThousandMutations) {
  const testing::MutationCounts counts = testing::survive_mutations(read_by_all_ways, kText, 10'000);
  RecordProperty("refused", counts.refused);
  EXPECT_EQ(counts.tried, 10'000);
  EXPECT_GT(counts.refused, 7'000);
}

std::string repeated(std::string_view text, std::size_t bytes) {
  std::string all;
  while (all.size() < bytes) all += text;
  return all;
}

TEST(HostileJson, StaysWithinItsMemoryForTheWorstTexts) {
  constexpr std::size_t kBytes = 2 << 20;
  std::string keys = "{\"x\":0";
  std::string long_keys = keys;
  for (int i = 0; i < 290'000; ++i) keys += ",\"" + std::to_string(i) + "\":0";
  for (int i = 0; i < 1'000; ++i) long_keys += ",\"" + std::to_string(i) + std::string(20'000, 'k') + "\":0";
  for (const std::string& text :
       {"[0" + repeated(",0", kBytes), "[[]" + repeated(",[]", kBytes), "[{}" + repeated(",{}", kBytes),
        "[\"\"" + repeated(",\"sixteen letters.\"", kBytes), keys, long_keys,
        "[0" + repeated(",\"" + std::string(4'000'000, 't') + "\"", 44 << 20), "[" + std::string(4 << 20, '1'),
        "[" + repeated("{\"a\":", kBytes)}) {
    for (const char* end : {"", "]", "}"}) {
      EXPECT_NO_THROW(testing::complaint_about(read_by_all_ways, text + end));
    }
  }
}

}  // namespace
}  // namespace nkat
