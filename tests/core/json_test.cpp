#include "core/json.h"

#include <fmt/format.h>
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

std::string many(std::string_view text, int count) {
  std::string all;
  for (int i = 0; i < count; ++i) all += text;
  return all;
}

std::string numbered_keys(int count) {
  std::string text = "{\"x\":0";
  for (int i = 1; i < count; ++i) text += fmt::format(",\"{}\":0", i);
  return text + "}";
}

TEST(Json, RefusesEachFaultByName) {
  const struct {
    const char* name;
    std::string text;
    std::string message;
  } faults[] = {
      {"Empty", "", "not valid JSON at byte 1: it is empty"},
      {"WebPage", "\n<!doctype html>\n<html>", "not valid JSON at byte 1: it is a web page"},
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
      {"KeyTwice", R"({"a":1,"a":2})", "duplicate key 'a'"},
      {"KeyTwiceInside", R"({"a":{"b":1,"c":{},"b":2}})", "duplicate key 'b'"},
      {"BareKey", "{a:1}", "not valid JSON"},
      {"NumberAsKey", "{1:1}", "not valid JSON"},
      {"MissingColon", R"({"a" 1})", "not valid JSON"},
      {"MissingComma", R"([1 2])", "not valid JSON"},
      {"WrongBracket", "[1}", "not valid JSON"},
      {"Hexadecimal", "[0x10]", "not valid JSON"},
      {"PlusSign", "[+1]", "not valid JSON"},
      {"BarePoint", "[.5]", "not valid JSON"},
      {"Nul", std::string("[1\0]", 4), "not valid JSON at byte 2: a NUL byte"},
      {"NulBehindTheEnd", std::string("[1]\0x", 5), "not valid JSON at byte 3: a NUL byte"},
      {"UnknownEscape", R"(["\x"])", "not valid JSON"},
      {"CutEscape", R"(["\)", "not valid JSON"},
      {"CutUnicodeEscape", R"(["\u12)", "not valid JSON"},
      {"OverlongUtf8", "\"\xC0\x80\"", "not valid JSON"},
      {"SurrogateInUtf8", "\"\xED\xA0\x80\"", "not valid JSON"},
      {"ByteOrderMark", "\xEF\xBB", "not valid JSON"},
      {"CapitalTrue", "[True]", "not valid JSON"},
      {"LongText", "\"" + std::string(5 << 20, 'x') + "\"",
       "expected a JSON string or number of at most 4194304 bytes, found 5242881 at byte 0"},
      {"LongTextWithoutEnd", "[\"" + std::string(5 << 20, '\\'), "at most 4194304 bytes"},
      {"LongNumber", "[1," + std::string(5 << 20, '7') + "]", "found 5242880 at byte 3"},
      {"LongKeyTwice", "{\"" + std::string(1 << 20, 'k') + "\":1,\"" + std::string(1 << 20, 'k') + "\":1}",
       "duplicate key '" + std::string(100, 'k') + " ...'"},
      {"ManyValues", "[1" + many(",1", 2'000'000) + "]", "values that fit in 48 MiB"},
      {"ManyLists", "[[]" + many(",[]", 1'000'000) + "]", "values that fit in 48 MiB"},
      {"ManyKeys", numbered_keys(4097), "expected an object of at most 4096 keys"},
      {"DeepWithoutEnd", std::string(1'000'000, '['), "nested deeper than 4 levels"},
      {"TooDeep", "[[[[[]]]]]", "nested deeper than 4 levels"},
      {"TooDeepObjects", R"({"a":{"a":{"a":{"a":{}}}}})", "nested deeper than 4 levels"},
  };
  for (const auto& one : faults) EXPECT_THAT(complaint(one.text), HasSubstr(one.message)) << one.name;
  EXPECT_EQ(complaint("[[[[]]]]"), "");
}

TEST(Json, QuotesNoMoreThanTheStartOfALongToken) {
  std::string text = "\"";
  text.append(1'000'000, 'x');
  const std::string message = complaint(text);
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
  for (int i = 0; i < 100'000; ++i) text += (i == 0 ? "\"" : ",\"") + std::to_string(i) + "\":{\"a\":[]}";
  EXPECT_EQ(parse_large_json(text + "}", "x").size(), 100'000u);
}

TEST(Json, HandsOverOneEntryAfterTheOther) {
  std::string seen;
  const auto collect = [&](const std::string& key, const nlohmann::json& value) {
    seen += key + "=" + value.dump() + ";";
  };
  for_each_json_entry(R"({"b":[1,{"x":{}}],"a":{"y":[]},"c":null,"b":-2.5,"d":"t"})", "x", collect);
  EXPECT_EQ(seen, R"(b=[1,{"x":{}}];a={"y":[]};c=null;b=-2.5;d="t";)");
}

TEST(Json, HandsOverTheEntriesOfWhatLiesUnderAPathToo) {
  std::string seen;
  const auto collect = [&](const std::string& inside, const std::string& key, const nlohmann::json& value) {
    seen += inside + "|" + key + "=" + value.dump() + ";";
  };
  for_each_json_part(R"({"a":{"b":{"x":1,"y":{"b":2}},"c":[3,[4],{"x":5}],"d":[6]},"b":{"x":7},"a.b":{"x":8},"a":9})",
                     "x", {"a", "a.b", "a.c"}, collect);
  EXPECT_EQ(seen, R"(a.b|x=1;a.b|y={"b":2};a.c|=3;a.c|=[4];a.c|={"x":5};a|d=[6];|b={"x":7};|a.b={"x":8};|a=9;)");
  const auto ignore = [](const std::string&, const std::string&, const nlohmann::json&) {};
  EXPECT_THAT(testing::message_of([&] { for_each_json_part("[]", "x", {"a"}, ignore); }),
              HasSubstr("expected a JSON object"));
  EXPECT_THAT(testing::message_of([&] {
                for_each_json_part(R"({"a":{"b":[[[]]]}})", "x", {"a", "a.b"}, ignore, 4);
              }),
              HasSubstr("nested deeper than 4 levels"));
}

TEST(Json, HandsOverALongListInTheMemoryOfOneEntry) {
  std::string text = R"({"a":[)";
  for (int i = 0; i < 1'000'000; ++i) text += i == 0 ? "[1,2]" : ",[1,2]";
  int count = 0;
  for_each_json_part(text + "]}", "x", {"a"},
                     [&](const std::string&, const std::string&, const nlohmann::json&) { ++count; });
  EXPECT_EQ(count, 1'000'000);
}

TEST(Json, HandsOverNothingButTheEntriesOfAnObject) {
  const auto complaint_about_entries = [](const std::string& text) {
    const testing::Reader read = [](const std::string& bytes) {
      for_each_json_entry(
          bytes, "x.json", [](const std::string&, const nlohmann::json&) {}, 3);
    };
    return testing::complaint_about(read, text);
  };
  for (const char* other : {"[]", "[{}]", "5", "\"t\"", "null", "true"})
    EXPECT_EQ(complaint_about_entries(other), "x.json: expected a JSON object, found another value") << other;
  EXPECT_THAT(complaint_about_entries(R"({"a":{"b":1,"b":2}})"), HasSubstr("duplicate key 'b'"));
  EXPECT_THAT(complaint_about_entries(R"({"a":[[[]]]})"), HasSubstr("nested deeper than 3 levels"));
  EXPECT_THAT(complaint_about_entries(R"({"a":1)"), HasSubstr("not valid JSON"));
  EXPECT_EQ(complaint_about_entries("{}"), "");
}

// Each entry alone is small.
TEST(Json, HandsOverMoreEntriesThanItCouldHold) {
  std::string text = "{\"0\":0";
  for (int i = 1; i < 500'000; ++i) text += ",\"" + std::to_string(i) + "\":[1]";
  int entries = 0;
  for_each_json_entry(text + "}", "x", [&](const std::string&, const nlohmann::json&) { ++entries; });
  EXPECT_EQ(entries, 500'000);
}

}  // namespace
}  // namespace nkat
