#include "data/inspect/inspection.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nkat::data {
namespace {

using ::testing::HasSubstr;

using Json = nlohmann::ordered_json;

// The text of one fact that stands alone.
std::string shown_fact(const Json& value) {
  Inspection inspection{.path = "x", .kind = "k"};
  inspection.facts["fact"] = value;
  return to_text(inspection);
}

TEST(Inspection, TotalsCountTensorsElementsAndBytesByType) {
  Inspection inspection{.path = "x", .kind = "k"};
  inspection.facts["bytes"] = 100;
  inspection.tensors = {{.name = "a", .type = "F32", .shape = {3, 2}, .bytes = 24},
                        {.name = "one", .type = "F32", .shape = {}, .bytes = 4},
                        {.name = "none", .type = "BF16", .shape = {0, 5}, .bytes = 0}};
  add_totals(inspection);
  EXPECT_EQ(inspection.facts.dump(), R"({"bytes":100,"tensors":3,"elements":7,"data_bytes":28,)"
                                     R"("types":{"BF16":"1 tensors, 0 bytes","F32":"2 tensors, 28 bytes"}})");
}

TEST(Inspection, TotalsOfNothingAreZero) {
  Inspection inspection{.path = "x", .kind = "k"};
  add_totals(inspection);
  EXPECT_EQ(inspection.facts.dump(), R"({"tensors":0,"elements":0,"data_bytes":0,"types":{}})");
  EXPECT_THAT(to_text(inspection), HasSubstr("  data_bytes  0\n  types       {}\n"));
}

TEST(Inspection, TextHasColumnsAndIndentsWhatLiesDeeper) {
  Inspection inspection{.path = "x.gguf", .kind = "GGUF file"};
  inspection.facts =
      Json::parse(R"({"version": 3, "metadata": {"general.name": "tiny", "a": {"deep": true}}, "alignment": 32})");
  inspection.tensors = {{.name = "a.weight", .type = "F32", .shape = {3, 2}, .bytes = 24},
                        {.name = "long.name", .type = "q4_K", .shape = {256}, .bytes = 144}};
  inspection.holds("every size");
  inspection.holds("every name");
  EXPECT_EQ(to_text(inspection),
            "x.gguf: GGUF file\n"
            "  version    3\n"
            "  metadata\n"
            "    general.name  tiny\n"
            "    a\n"
            "      deep  true\n"
            "  alignment  32\n"
            "  a.weight   F32     [3, 2]\n"
            "  long.name  q4_K    [256]\n"
            "  holds: every size\n"
            "  holds: every name\n");
}

TEST(Inspection, AVeryLongNameDoesNotPushTheOthersValuesOut) {
  Inspection inspection{.path = "x", .kind = "k"};
  inspection.facts = {{std::string(60, 'n'), 1}, {"b", 2}};
  EXPECT_EQ(to_text(inspection), "x: k\n  " + std::string(60, 'n') + "  1\n  b" + std::string(47, ' ') + "  2\n");
}

TEST(Inspection, TextKeepsAValueOnOneLineOf160Bytes) {
  const std::string full(160, 'v');
  EXPECT_EQ(shown_fact(full), "x: k\n  fact  " + full + "\n");
  EXPECT_EQ(shown_fact(full + "v"), "x: k\n  fact  " + full + " ...\n");
  EXPECT_EQ(shown_fact("a\nb\t\x1B[31m\x7F"), "x: k\n  fact  a\\nb??[31m?\n");
  EXPECT_EQ(shown_fact("\u3053"), "x: k\n  fact  \u3053\n");
  EXPECT_EQ(shown_fact({1, "a\n", nullptr}), "x: k\n  fact  [1,\"a\\n\",null]\n");
}

TEST(Inspection, TextHasNoControlCharactersOfANameThatTheFileGives) {
  Inspection inspection{.path = "x", .kind = "k"};
  inspection.facts = {{"metadata", {{"\x1B[31mred\nforged", "v"}}}};
  EXPECT_EQ(to_text(inspection), "x: k\n  metadata\n    ?[31mred\\nforged  v\n");
}

TEST(Inspection, JsonHasTheFactsBesideTensorsAndChecks) {
  Inspection inspection{.path = "x", .kind = "k"};
  EXPECT_EQ(to_json(inspection).dump(), R"({"path":"x","kind":"k","tensor_list":[],"checks":[]})");
  inspection.facts = {{"version", 3}, {"metadata", {{"a", "b"}}}};
  inspection.tensors = {{.name = "a", .type = "F32", .shape = {3, 2}, .bytes = 24}};
  inspection.holds("every size");
  EXPECT_EQ(to_json(inspection).dump(),
            R"({"path":"x","kind":"k","version":3,"metadata":{"a":"b"},)"
            R"("tensor_list":[{"name":"a","type":"F32","shape":[3,2],"bytes":24}],"checks":["every size"]})");
}

}  // namespace
}  // namespace nkat::data
