#include "core/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "tests/support/mutations.h"

namespace nkat {
namespace {

using ::testing::HasSubstr;

std::string complaint(const std::string& text) {
  return testing::complaint_about([](const std::string& bytes) { parse_json(bytes, "x.json", 4); }, text);
}

TEST(Json, KeepsValuesAndTheOrderOfKeys) {
  const std::string text = R"({"b":[1,-2,3.5,18446744073709551615],"a":{"x":null,"y":true},"c":"\u3053\ud83e\udd99"})";
  EXPECT_EQ(parse_json(text, "x.json").dump(),
            R"({"b":[1,-2,3.5,18446744073709551615],"a":{"x":null,"y":true},"c":"こ🦙"})");
  EXPECT_EQ(parse_json(" 5 ", "x.json").dump(), "5");
}

TEST(Json, RefusesEachFaultByName) {
  const struct {
    const char* name;
    std::string text;
    const char* message;
  } faults[] = {
      {"Empty", "", "not valid JSON at byte 1"},
      {"Word", "nope", "not valid JSON"},
      {"Cut", R"({"a":)", "not valid JSON"},
      {"CutText", R"({"a)", "not valid JSON"},
      {"TrailingComma", R"({"a":1,})", "not valid JSON"},
      {"TrailingBytes", "{} x", "not valid JSON"},
      {"TwoValues", "{}{}", "not valid JSON"},
      {"Comment", "{/* */}", "not valid JSON"},
      {"SingleQuotes", "{'a':1}", "not valid JSON"},
      {"NaN", "[NaN]", "not valid JSON"},
      {"LeadingZero", "[01]", "not valid JSON"},
      {"HugeNumber", "[1e999]", "not valid JSON"},
      {"NotUtf8", "\"\xFF\"", "not valid JSON"},
      {"LoneSurrogate", R"("\ud800")", "not valid JSON"},
      {"ControlCharacter", "\"\n\"", "not valid JSON"},
      {"KeyTwice", R"({"a":1,"a":2})", "the key 'a' stands twice"},
      {"KeyTwiceInside", R"({"a":{"b":1,"c":{},"b":2}})", "the key 'b' stands twice"},
      {"TooDeep", "[[[[[]]]]]", "nested deeper than 4 levels"},
      {"TooDeepObjects", R"({"a":{"a":{"a":{"a":{}}}}})", "nested deeper than 4 levels"},
  };
  for (const auto& one : faults) EXPECT_THAT(complaint(one.text), HasSubstr(one.message)) << one.name;
  EXPECT_EQ(complaint("[[[[]]]]"), "");
}

TEST(Json, QuotesNoMoreThanTheStartOfALongToken) {
  const std::string message = complaint("\"" + std::string(1'000'000, 'x'));
  EXPECT_THAT(message, HasSubstr("not valid JSON"));
  EXPECT_LT(message.size(), 300u);
}

TEST(Json, KeepsOnlyTheWantedKeysOfTheOutermostObject) {
  const std::string text = R"({"a":{"x":1,"z":[{}]},"b":[{"a":5}],"x":2,"c":"t"})";
  EXPECT_EQ(parse_large_json(text, "x", {"b", "x", "other"}).dump(), R"({"b":[{"a":5}],"x":2})");
  EXPECT_EQ(parse_large_json(text, "x").size(), 4u);
  EXPECT_EQ(parse_large_json("[1,{\"a\":2}]", "x", {"b"}).size(), 2u);
}

TEST(Json, TakesTimeInProportionToTheKeys) {
  std::string text = "{";
  for (int i = 0; i < 300'000; ++i) text += (i == 0 ? "\"" : ",\"") + std::to_string(i) + "\":{\"a\":[]}";
  EXPECT_EQ(parse_large_json(text + "}", "x").size(), 300'000u);
}

TEST(Json, SurvivesEveryTruncationAndBitFlip) {
  const std::string text = R"({"b":[1,-2,3.5e1],"a":{"x":null,"y":true},"c":"\u3053 t"})";
  const testing::Reader read = [](const std::string& bytes) { parse_json(bytes, "x"); };
  EXPECT_EQ(testing::refused_truncations(read, text), static_cast<int>(text.size()));
  EXPECT_GT(testing::refused_bit_flips(read, text), 100);
}

}  // namespace
}  // namespace nkat
