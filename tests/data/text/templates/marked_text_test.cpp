#include "data/text/templates/marked_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <jinja/runtime.h>

namespace nkat::data {
namespace {

using ::testing::ElementsAre;

using Words = std::vector<std::string>;

jinja::value text(const std::string& bytes) { return jinja::mk_val<jinja::value_string>(bytes); }

// [marked](unmarked)
std::string shown(const jinja::value& value) {
  std::string all;
  for (const jinja::string_part& part : value->as_string().parts)
    all += part.is_input ? "[" + part.val + "]" : "(" + part.val + ")";
  return all;
}

jinja::value call(const char* name, const std::vector<jinja::value>& arguments) {
  jinja::context scope;
  jinja::func_args args(scope);
  for (const jinja::value& one : arguments) args.push_back(one);
  return (*find_string_method(name))(args);
}

std::string result(const char* name, const std::vector<jinja::value>& arguments) {
  return call(name, arguments)->as_string().str();
}

Words pieces(const char* name, const std::vector<jinja::value>& arguments) {
  Words words;
  const jinja::value list = call(name, arguments);
  for (const jinja::value& one : list->as_array()) words.push_back(one->as_string().str());
  return words;
}

// "a<b>c" with b from the input.
jinja::value mixed() {
  jinja::string string;
  string.parts = {{false, "a, "}, {true, "b, c"}, {false, ", d"}};
  return jinja::mk_val<jinja::value_string>(string);
}

// The expected results are Python's.
TEST(MarkedText, StripsUnicodeWhiteSpaceOrASetOfCharacters) {
  EXPECT_EQ(result("strip", {text(" \u3000\x1C\u00A0 a b \u2003\n")}), "a b");
  EXPECT_EQ(result("lstrip", {text("\n a \n")}), "a \n");
  EXPECT_EQ(result("rstrip", {text("\n a \n")}), "\n a");
  EXPECT_EQ(result("strip", {text("\u3042x\u3042\u3044"), text("\u3044\u3042")}), "x");
  EXPECT_EQ(result("strip", {text("\u200B")}), "\u200B");
}

TEST(MarkedText, SplitsAtASeparatorOrAtWhiteSpace) {
  EXPECT_EQ(pieces("split", {text("a,b,,c"), text(",")}), (Words{"a", "b", "", "c"}));
  const auto one = jinja::mk_val<jinja::value_int>(1);
  EXPECT_EQ(pieces("split", {text("a,b,c"), text(","), one}), (Words{"a", "b,c"}));
  EXPECT_EQ(pieces("rsplit", {text("a,b,c"), text(","), one}), (Words{"a,b", "c"}));
  EXPECT_EQ(pieces("rsplit", {text(",a,"), text(",")}), (Words{"", "a", ""}));
  EXPECT_EQ(pieces("split", {text(" a \u3000 b\n")}), (Words{"a", "b"}));
  const auto none = jinja::mk_val<jinja::value_none>();
  EXPECT_EQ(pieces("split", {text(" a b  c "), none, one}), (Words{"a", "b  c "}));
  EXPECT_EQ(pieces("splitlines", {text("a\r\nb\n\nc")}), (Words{"a", "b", "", "c"}));
}

TEST(MarkedText, ReplacesAndRemoves) {
  EXPECT_EQ(result("replace", {text("aXbXc"), text("X"), text("--")}), "a--b--c");
  EXPECT_EQ(result("replace", {text("aXbXc"), text("X"), text(""), jinja::mk_val<jinja::value_int>(1)}), "abXc");
  EXPECT_EQ(result("replace", {text("\u3042b"), text(""), text("-")}), "-\u3042-b-");
  EXPECT_EQ(result("removeprefix", {text("abc"), text("ab")}), "c");
  EXPECT_EQ(result("removesuffix", {text("abc"), text("ab")}), "abc");
}

TEST(MarkedText, CountsCodePoints) {
  EXPECT_EQ(call("length", {text("\u3042\u3044")})->as_int(), 2);
  EXPECT_EQ(call("find", {text("\u3042\u3044x"), text("x")})->as_int(), 2);
  EXPECT_EQ(call("find", {text("a"), text("x")})->as_int(), -1);
  EXPECT_EQ(call("count", {text("a-b-c"), text("-")})->as_int(), 2);
  EXPECT_EQ(slice_string(text("\u3042\u3044\u3046"), 1, -1)->as_string().str(), "\u3044");
  EXPECT_EQ(slice_string(text("abc"), std::nullopt, 9)->as_string().str(), "abc");
  EXPECT_EQ(slice_string(text("abc"), 2, 1)->as_string().str(), "");
  EXPECT_EQ(string_item(text("\u3042\u3044"), -1)->as_string().str(), "\u3044");
  EXPECT_TRUE(string_item(text("a"), 1)->is_undefined());
}

TEST(MarkedText, ChangesTheCaseOfAsciiAndRefusesOtherLettersThatHaveOne) {
  EXPECT_EQ(result("upper", {text("a\u3042Z-\u00c9")}), "A\u3042Z-\u00c9");
  EXPECT_EQ(result("lower", {text("aB\u00e9\U0001F999")}), "ab\u00e9\U0001F999");
  EXPECT_EQ(result("capitalize", {text("heLLO \u6771")}), "Hello \u6771");
  EXPECT_EQ(result("capitalize", {text("")}), "");
  EXPECT_EQ(shown(call("upper", {mixed()})), "(A, )[B, C](, D)");
  EXPECT_THROW(result("upper", {text("\u00e9")}), std::runtime_error);
  EXPECT_THROW(result("lower", {text("a\u0416")}), std::runtime_error);
  EXPECT_THROW(result("capitalize", {text("\u00e9A")}), std::runtime_error);
}

TEST(MarkedText, EveryByteKeepsWhereItCameFrom) {
  EXPECT_EQ(shown(slice_string(mixed(), 1, -1)), "(, )[b, c](, )");
  EXPECT_EQ(shown(call("replace", {mixed(), text(", "), text("+")})), "(a+)[b](+)[c](+d)");
  const auto split = call("split", {mixed(), text(", ")})->as_array();
  ASSERT_EQ(split.size(), 4u);
  EXPECT_EQ(shown(split[0]) + shown(split[1]) + shown(split[2]) + shown(split[3]), "(a)[b][c](d)");
  EXPECT_EQ(shown(call("join", {text("-"), jinja::mk_val<jinja::value_array>(split)})), "(a-)[b](-)[c](-d)");
}

TEST(MarkedText, AnEmptyInputStaysAMark) {
  jinja::string input(" ", /*user_input=*/true);
  EXPECT_EQ(shown(call("strip", {jinja::mk_val<jinja::value_string>(input)})), "[]");
  EXPECT_EQ(shown(call("strip", {text(" ")})), "");
}

}  // namespace
}  // namespace nkat::data
