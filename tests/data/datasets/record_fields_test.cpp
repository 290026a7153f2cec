#include "data/datasets/record_fields.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/message_of.h"

namespace nkat::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Optional;

using Json = nlohmann::ordered_json;

TEST(RecordFields, KnowFlagsInTheirUsualForms) {
  for (const char* yes : {"true", "1", "1.0", "\"1\"", "\"true\"", "\"True\""})
    EXPECT_THAT(flag_of(Json::parse(yes)), Optional(true)) << yes;
  for (const char* no : {"false", "0", "0.0", "-0.0", "\"0\"", "\"False\""})
    EXPECT_THAT(flag_of(Json::parse(no)), Optional(false)) << no;
  for (const char* other : {"null", "2", "0.5", "-1", "\"\"", "\"yes\"", "[]", "{}"})
    EXPECT_EQ(flag_of(Json::parse(other)), std::nullopt) << other;
}

TEST(RecordFields, AMarkSaysWhetherATurnIsLearned) {
  const Json json = {{"weight", 0}, {"train", true}, {"masked", true}, {"loss", 0.5}, {"training", nullptr}, {"id", 0}};
  const JsonObject object(json, "x:1");
  EXPECT_THAT(learn_mark(object, "weight"), Optional(false));
  EXPECT_THAT(learn_mark(object, "train"), Optional(true));
  EXPECT_THAT(learn_mark(object, "masked"), Optional(false));
  for (const char* key : {"training", "id", "learn"}) EXPECT_EQ(learn_mark(object, key), std::nullopt) << key;
  EXPECT_THAT(nkat::testing::message_of<FormatError>([&] { learn_mark(object, "loss"); }),
              HasSubstr("x:1: key 'loss': expected 0, 1, true or false, found 0.5"));
}

TEST(RecordFields, NameWhatWasNotUsed) {
  const Json json = {{"text", "t"}, {"a", 1}, {"b", ""}, {"c", Json::array()}, {"d", nullptr}, {"label", "DENY"}};
  RecordFields fields(json, "x:1");
  EXPECT_EQ(fields.text("text"), "t");
  EXPECT_EQ(fields.text_or_empty("d"), "");
  fields.account_for("label");
  fields.note_unused("messages[].name");
  fields.note_unused("messages[].name");
  EXPECT_THAT(fields.unused(), ElementsAre("a", "messages[].name"));
  EXPECT_EQ(fields.metadata().dump(), R"({"a":1,"b":"","c":[],"d":null,"label":"DENY"})");
}

}  // namespace
}  // namespace nkat::data
