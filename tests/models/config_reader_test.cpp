#include "models/config_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/message_of.h"

namespace nkat::models {
namespace {

using Json = ConfigReader::Json;
using nkat::testing::message_of;

TEST(ConfigReader, ReadsTypedValuesAndCountsNullAsAbsent) {
  const Json json = Json::parse(R"({"a": 3, "b": 0.5, "c": true, "d": "x", "e": null})");
  const ConfigReader reader("config.json", json);
  EXPECT_EQ(reader.size("a"), 3);
  EXPECT_EQ(reader.size("e", 7), 7);
  EXPECT_EQ(reader.positive("b", reader.top({"b"}), 1), 0.5);
  EXPECT_TRUE(reader.flag("c", false));
  EXPECT_EQ(reader.word("d", reader.top({"d"})), "x");
  EXPECT_EQ(reader.top({"e"}), nullptr);
  EXPECT_TRUE(reader.names("e"));
  EXPECT_FALSE(reader.names("f"));
}

TEST(ConfigReader, NamesFileAndKey) {
  const Json json = Json::parse(R"({"a": "3", "b": -1})");
  const ConfigReader reader("config.json", json);
  EXPECT_EQ(message_of<FormatError>([&] { reader.size("a"); }),
            "config.json: key a: expected an integer from 1 to 16777216, found \"3\"");
  EXPECT_EQ(message_of<FormatError>([&] { reader.positive("b", reader.top({"b"}), 1); }),
            "config.json: key b: expected a number above 0, found -1");
  EXPECT_EQ(message_of<FormatError>([&] { reader.size("c"); }),
            "config.json: key c is missing; a model's config has it");
}

TEST(ConfigReader, SpellingsInSeveralPlacesMustAgree) {
  const Json json = Json::parse(R"({"rope_theta": 1, "rope_parameters": {"rope_theta": 2, "factor": 4}})");
  const ConfigReader reader("config.json", json);
  EXPECT_TRUE(reader.has_rope_object());
  EXPECT_EQ(*reader.rope({"factor"}), 4);
  EXPECT_EQ(message_of<FormatError>([&] { reader.anywhere("rope_theta"); }),
            "config.json: rope_theta is 1 but rope_parameters.rope_theta is 2; they must agree");
}

}  // namespace
}  // namespace nkat::models
