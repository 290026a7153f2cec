#include "validation/questions/decimal.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace nkat::validation {
namespace {

struct DecimalCase {
  std::string line;
  std::string number;  // "" for none
};

void expect_decimals(const std::vector<DecimalCase>& cases) {
  for (const DecimalCase& one : cases) {
    const std::optional<Decimal> read = number_in_line(one.line);
    EXPECT_EQ(read ? read->text() : "", one.number) << "'" << one.line << "'";
  }
}

TEST(Decimal, EqualNumbersAreEqualInEveryNotation) {
  for (const auto& [left, right] : std::vector<std::pair<std::string, std::string>>{{"12.50", "12.5"},
                                                                                    {"12.0", "12"},
                                                                                    {"007", "7"},
                                                                                    {"1,234.50", "1234.5"},
                                                                                    {"-0", "0"},
                                                                                    {"0.0", "0"},
                                                                                    {"-3.10", "-3.1"},
                                                                                    {"0.10", "0.1"},
                                                                                    {"100", "100.000"}}) {
    EXPECT_EQ(Decimal::parse(left), Decimal::parse(right)) << left;
    EXPECT_TRUE(Decimal::parse(left).has_value()) << left;
  }
}

TEST(Decimal, DifferentNumbersAreDifferentWhateverTheirLength) {
  EXPECT_NE(Decimal::parse("0.1"), Decimal::parse("0.1000000000000000055511151231257827"));  // equal as doubles
  EXPECT_NE(Decimal::parse("12345678901234567890"), Decimal::parse("12345678901234567891"));
  EXPECT_NE(Decimal::parse("5"), Decimal::parse("-5"));
  EXPECT_NE(Decimal::parse("10"), Decimal::parse("1"));
}

TEST(Decimal, RefusesWhatIsNotWhollyANumber) {
  for (const char* text : {"", "-", ".", "1.", ".5", "1.2.3", "12,34", "1,23,456", "1234,567", ",123", "1,", "1 2",
                           "4a", "--1", "+1", "1e3", "0x10", "1.2,3"}) {
    EXPECT_FALSE(Decimal::parse(text)) << text;
  }
}

TEST(NumberInLine, IsReadThroughUnitsAndWords) {
  expect_decimals({{"42", "42"},
                   {" 42 ", "42"},
                   {"42.", "42"},
                   {"The answer is 42.", "42"},
                   {"答えは42です。", "42"},
                   {"42個", "42"},
                   {"30分", "30"},
                   {"42 cm", "42"},
                   {"42cm2", "42"},
                   {"42 cm²", "42"},
                   {"42 m^2", "42"},
                   {"42 \\text{cm}^{2}", "42"},
                   {"90^\\circ", "90"},
                   {"90°", "90"},
                   {"50%", "50"},
                   {"$42", "42"},
                   {"¥1,500", "1500"},
                   {"￥１，５００", "1500"},
                   {"**42**", "42"},
                   {"\\boxed{42}", "42"},
                   {"x = 7", "7"},
                   {"3 + 4 = 7", "7"},
                   {"3 × 4 ＝ 12 cm", "12"},
                   {"１２．５０", "12.5"},
                   {"12.50", "12.5"},
                   {".5", "0.5"},
                   {"1,234,567.80", "1234567.8"},
                   {"...42", "42"},
                   {"5 km", "5"},
                   {"42 apples", "42"},
                   {"CO2: 42", "42"}});
}

TEST(NumberInLine, KeepsSignsApartFromDashesAndBullets) {
  expect_decimals({{"-5", "-5"},
                   {"−5", "-5"},
                   {"－５", "-5"},
                   {"-$5", "-5"},
                   {"$-5", "-5"},
                   {"+5", "5"},
                   {"x = -5", "-5"},
                   {"x = - 5", "-5"},
                   {"- 5 apples", "5"},
                   {"room A-5", "5"},
                   {"(-5)", "-5"},
                   {"答え:-5", "-5"},
                   {"-0", "0"},
                   {"2 - 7 = -5", "-5"}});
}

TEST(NumberInLine, IsNothingWhereTheLineLeavesADoubt) {
  for (const char* line : {"",          "none",        "forty-two", "四十二", "42 or 43",  "1/2",   "10-12",
                           "10~12",     "2:30",        "1.5e3",     "1.2.3",  "12,34",     "3万",   "3千円",
                           "3 million", "3 dozen",     "5k",        "√2",     "2√2",       "5π",    "2^10",
                           "3²",        "4½",          "±5",        "2 × 2",  "7 = 3 + 4", "42 =",  "\\frac{1}{2}",
                           "1 234",     "(a) 5 (b) 6", "x1",        "cm2",    "\xff\xfe",  "3 + 4", "NaN",
                           "∞",         "1,234,56",    "42 42"}) {
    const std::optional<Decimal> read = number_in_line(line);
    EXPECT_FALSE(read) << "'" << line << "' was read as " << (read ? read->text() : "");
  }
}

}  // namespace
}  // namespace nkat::validation
