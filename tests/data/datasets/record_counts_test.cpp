#include "data/datasets/record_counts.h"

#include <string>
#include <tuple>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "tests/support/message_of.h"

namespace nkat::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

using Json = nlohmann::ordered_json;

// Every counter has another value.
constexpr const char* kText =
    R"({"records":20,"bad_records":2,"rendered":3,"context_turns":12,"cut":4,"dropped_overlong":5,"dropped_without_target":6,"samples":7,)"
    R"("tokens":80,"target_tokens":9,"tokens_cut_off":10,"kinds":{"messages":11,"text":7},"labels":{"DENY":1},"unused":{"tools":2},)"
    R"("bad_messages":["x:1: bad"]})";

RecordCounts read(const Json& json) { return record_counts_from(JsonObject(json, "test")); }

std::string error_with(const char* key, const Json& value) {
  Json json = Json::parse(kText);
  json[key] = value;
  return nkat::testing::message_of<FormatError>([&] { read(json); });
}

TEST(RecordCountsJson, EachCounterHasItsKey) {
  Json json = Json::parse(kText);
  json["sha256"] = "of another reader";
  const RecordCounts counts = read(json);
  EXPECT_EQ(counts.records, 20);
  EXPECT_EQ(counts.bad_records, 2);
  EXPECT_EQ(counts.rendered, 3);
  EXPECT_EQ(counts.truncated, 4);
  EXPECT_EQ(counts.dropped_overlong, 5);
  EXPECT_EQ(counts.dropped_without_target, 6);
  EXPECT_EQ(counts.samples, 7);
  EXPECT_EQ(counts.tokens, 80);
  EXPECT_EQ(counts.target_tokens, 9);
  EXPECT_EQ(counts.tokens_cut_off, 10);
  EXPECT_THAT(counts.kinds, ElementsAre(Pair("messages", 11), Pair("text", 7)));
  EXPECT_THAT(counts.labels, ElementsAre(Pair("DENY", 1)));
  EXPECT_THAT(counts.bad_messages, ElementsAre("x:1: bad"));
}

TEST(RecordCountsJson, IsWrittenInTheOrderOfTheCounters) {
  EXPECT_EQ(to_json(read(Json::parse(kText))).dump(), kText);
  const Json none = to_json(RecordCounts{});
  EXPECT_EQ(none["records"], 0);
  EXPECT_EQ(none["kinds"], Json::object());
  EXPECT_EQ(none["bad_messages"], Json::array());
}

TEST(RecordCountsJson, HoldsWhatATemplateDoesOnlyWhereThereIsSomethingToSay) {
  Json json = Json::parse(kText);
  json["left_out"] = {{"system turn", 3}};
  json["changed_text"] = "x:1: 'a' becomes 'b'";
  RecordCounts counts = read(json);
  EXPECT_EQ(to_json(counts)["left_out"], json["left_out"]);
  EXPECT_EQ(to_json(counts)["changed_text"], json["changed_text"]);
  counts.add(counts, 2);
  EXPECT_THAT(counts.left_out, ElementsAre(Pair("system turn", 6)));
  EXPECT_THAT(
      rendering_warnings(counts),
      ElementsAre("the chat template leaves the system turn out of 6 records",
                  HasSubstr("changes an earlier turn's text for a later one; whole conversations are used: x:1: 'a'")));
  EXPECT_TRUE(rendering_warnings(RecordCounts{}).empty());
}

TEST(RecordCountsJson, AWrongValueIsRefusedByItsKey) {
  EXPECT_THAT(error_with("tokens", -1),
              HasSubstr("test: key 'tokens': expected a whole number of at least 0, found -1"));
  EXPECT_THAT(error_with("samples", 1.5), HasSubstr("test: key 'samples': expected a whole number"));
  EXPECT_THAT(error_with("kinds", Json::array()), HasSubstr("test: key 'kinds': expected an object, found []"));
  EXPECT_THAT(error_with("kinds", {{"text", -7}}), HasSubstr("test: kinds: key 'text': expected a whole number"));
  EXPECT_THAT(error_with("unused", {{"id", 0.5}}), HasSubstr("test: unused: key 'id': expected a whole number"));
  EXPECT_THAT(error_with("labels", nullptr), HasSubstr("test: key 'labels': expected an object, found null"));
  EXPECT_THAT(error_with("labels", {{"DENY", "1"}}), HasSubstr("test: labels: key 'DENY': expected a whole number"));
  EXPECT_THAT(error_with("bad_messages", "x"), HasSubstr("test: key 'bad_messages': expected a list, found \"x\""));
  EXPECT_THAT(error_with("bad_messages", {"x", 7}), HasSubstr("test: key 'bad_messages': expected a list of strings"));
}

TEST(RecordCountsSum, OnlyWhatSamplesHoldIsRepeated) {
  RecordCounts sum;
  sum.add(read(Json::parse(kText)), 3);
  EXPECT_EQ(std::tie(sum.records, sum.bad_records, sum.rendered), std::tuple(20, 2, 3));
  EXPECT_EQ(std::tie(sum.truncated, sum.dropped_overlong, sum.dropped_without_target), std::tuple(4, 5, 6));
  EXPECT_EQ(std::tie(sum.samples, sum.tokens), std::tuple(3 * 7, 3 * 80));
  EXPECT_EQ(std::tie(sum.target_tokens, sum.tokens_cut_off), std::tuple(3 * 9, 3 * 10));
  EXPECT_THAT(sum.kinds, ElementsAre(Pair("messages", 11), Pair("text", 7)));
  EXPECT_THAT(sum.labels, ElementsAre(Pair("DENY", 1)));
}

TEST(RecordCountsSum, KindsAndLabelsOfAllFilesAreCountedByName) {
  RecordCounts sum = read(Json::parse(kText));
  RecordCounts file;
  file.kinds = {{"instruction", 1}, {"text", 5}};
  file.labels = {{"ALLOW", 2}, {"DENY", 4}};
  sum.add(file);
  EXPECT_THAT(sum.kinds, ElementsAre(Pair("instruction", 1), Pair("messages", 11), Pair("text", 12)));
  EXPECT_THAT(sum.labels, ElementsAre(Pair("ALLOW", 2), Pair("DENY", 5)));
}

TEST(RecordCountsSum, NamesBeyondTheLimitAreCountedTogether) {
  RecordCounts sum;
  for (std::size_t i = 0; i < kMostUnused + 3; ++i) sum.add_unused(std::string(i + 1, 'k'));
  sum.add_unused("k", 4);
  EXPECT_EQ(sum.unused.size(), kMostUnused + 1);
  EXPECT_EQ(sum.unused.at("k"), 5);
  EXPECT_EQ(sum.unused.at(kOtherNames), 3);
  RecordCounts twice = sum;
  twice.add(sum);
  EXPECT_EQ(twice.unused.at(kOtherNames), 6);
}

TEST(RecordCountsSum, AnEmptyFileAddsNothing) {
  RecordCounts sum = read(Json::parse(kText));
  sum.add(RecordCounts{}, 5);
  EXPECT_EQ(to_json(sum).dump(), kText);
}

}  // namespace
}  // namespace nkat::data
