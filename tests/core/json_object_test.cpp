#include "core/json_object.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/json.h"
#include "tests/support/message_of.h"

namespace nkat {
namespace {

using nkat::testing::message_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsNan;

const JsonObject::Json kJson = parse_json(
    R"({"whole": 7, "large": 18446744073709551615, "half": 0.5, "text": "a", "yes": true, "none": null,
        "largest": 9223372036854775807,
        "list": [1, null, 2.5], "mixed": [1, "a"], "inner": {"depth": -2}})",
    "test");
const JsonObject kObject(kJson, "file.json");

TEST(JsonObject, ReadsEachTypeOfValue) {
  EXPECT_EQ(kObject.integer("whole"), 7);
  EXPECT_EQ(kObject.integer("largest"), INT64_MAX);
  EXPECT_EQ(kObject.number("half"), 0.5);
  EXPECT_EQ(kObject.number("whole"), 7);
  EXPECT_EQ(kObject.string("text"), "a");
  EXPECT_TRUE(kObject.boolean("yes"));
  EXPECT_EQ(kObject.object("inner").integer("depth", -5, 5), -2);
  EXPECT_EQ(kObject.list("mixed").size(), 2u);
}

TEST(JsonObject, TakesNullForAbsentAndForNaN) {
  EXPECT_FALSE(kObject.has("none"));
  EXPECT_EQ(kObject.optional_integer("none"), std::nullopt);
  EXPECT_EQ(kObject.optional_string("missing"), std::nullopt);
  EXPECT_EQ(kObject.optional_number("half"), 0.5);
  EXPECT_TRUE(std::isnan(kObject.number("none")));
  EXPECT_THAT(kObject.numbers("list"), ElementsAre(1, IsNan(), 2.5));
}

TEST(JsonObject, SaysWhereWhichKeyWhatWasExpectedAndFound) {
  EXPECT_EQ(message_of([] { kObject.integer("text"); }),
            "file.json: key 'text': expected a whole number of at least 0, found \"a\"");
  EXPECT_EQ(message_of([] { kObject.integer("whole", 8, 9); }),
            "file.json: key 'whole': expected a whole number from 8 to 9, found 7");
  EXPECT_EQ(message_of([] { kObject.string("missing"); }),
            "file.json: key 'missing': expected a string, found nothing");
  EXPECT_EQ(message_of([] { kObject.object("inner").boolean("depth"); }),
            "file.json: inner: key 'depth': expected true or false, found -2");
  EXPECT_EQ(message_of([] { kObject.fail("whole", "8", "update it"); }),
            "file.json: key 'whole': expected 8, found 7; update it");
}

TEST(JsonObject, AVersionAboveTheNewestIsANewerFormatAndWhatIsNoVersionABrokenOne) {
  EXPECT_NO_THROW(kObject.require_version("whole", 7));
  EXPECT_NO_THROW(kObject.require_version("whole", 8));
  EXPECT_EQ(
      message_of<NewerFormatError>([] { kObject.require_version("whole", 6); }),
      "file.json: key 'whole': expected at most 6, found 7; a newer nkat wrote it: use that version of nkat, or a "
      "later one");
  for (const char* key : {"missing", "text", "half", "none"}) {
    EXPECT_THAT(message_of([&] { kObject.require_version(key, 6); }),
                HasSubstr("expected a whole number of at least 1"))
        << key;
  }
  EXPECT_THAT(message_of([] { kObject.object("inner").require_version("depth", 6); }), HasSubstr("found -2"));
}

TEST(JsonObject, RefusesWhatTheTypeCanNotHold) {
  EXPECT_THAT(message_of([] { kObject.integer("large"); }), HasSubstr("found 18446744073709551615"));
  EXPECT_THAT(message_of([] { kObject.integer("half"); }), HasSubstr("whole number"));
  EXPECT_THAT(message_of([] { kObject.numbers("mixed"); }), HasSubstr("a list of numbers"));
  EXPECT_THAT(message_of([] { kObject.number("missing"); }), HasSubstr("a number"));
  EXPECT_THAT(message_of([] { JsonObject(kJson["list"], "file.json"); }), HasSubstr("a JSON object"));
}

}  // namespace
}  // namespace nkat
