#include "validation/questions/answer_parser.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "data/datasets/record.h"
#include "data/synthetic/generator.h"

namespace nkat::validation {
namespace {

struct Case {
  std::string answer;
  std::string expected;  // "" for unparsed
};

void expect_labels(const std::vector<Case>& cases) {
  for (const Case& one : cases) {
    const std::optional<NamedLabel> read = parse_label(one.answer);
    EXPECT_EQ(read ? data::kFourClasses[read->label] : "", one.expected) << "'" << one.answer << "'";
    if (read) {
      EXPECT_EQ(one.answer.substr(read->begin, read->end - read->begin), one.expected) << one.answer;
    }
  }
}

void expect_numbers(const std::vector<Case>& cases) {
  for (const Case& one : cases) {
    const std::optional<Decimal> read = parse_number(one.answer);
    EXPECT_EQ(read ? read->text() : "", one.expected) << "'" << one.answer << "'";
  }
}

TEST(LabelParser, ReadsTheFirstLineThatNamesOne) {
  expect_labels({{"Decision: ALLOW\nReason: it is routine.", "ALLOW"},
                 {"判断: ESCALATION\n理由: 承認が要ります。", "ESCALATION"},
                 {"DENY", "DENY"},
                 {"  REFUSE  ", "REFUSE"},
                 {"**DENY**", "DENY"},
                 {"\"DENY\".", "DENY"},
                 {"「DENY」です", "DENY"},
                 {"これはREFUSEです。", "REFUSE"},
                 {"Let me think.\nThe request is harmful.\nREFUSE\nIt would otherwise be ALLOW.", "REFUSE"},
                 {"Decision: ALLOW\r\nReason: DENY would be too strict.", "ALLOW"},
                 {"ALLOW, simply ALLOW", "ALLOW"},
                 {"DENY\nALLOW", "DENY"},
                 {"{\"decision\":\"ALLOW\"}", "ALLOW"},
                 {"ALLOW-", "ALLOW"}});
}

TEST(LabelParser, ReadsBehindTheLastHeadingAlone) {
  expect_labels({{"# 思考ステップ\nDENY かもしれない\n# 最終回答\nALLOW", "ALLOW"},
                 {"# 最終回答\nDENY\n# 最終回答\nALLOW", "ALLOW"},
                 {"# 最終回答\n判断: DENY\n理由: ALLOWではありません", "DENY"},
                 {"# 最終回答: REFUSE", "REFUSE"},
                 {"# 最終回答：REFUSE", "REFUSE"},
                 {"## 最終回答\nDENY", "DENY"},
                 {"#最終回答\nDENY", "DENY"},
                 {"思考 ALLOW # 最終回答 DENY", "DENY"},
                 {"ALLOW\n# 最終回答\n", ""},
                 {"ALLOW\n# 最終回答", ""},
                 {"ALLOW\n# 最終回答\nわかりません", ""},
                 {"DENY\n最終回答\nALLOW", "DENY"},
                 {"DENY\nC#最終回答です\nALLOW", "DENY"},
                 {"DENY\n# 最終回答者\nALLOW", "DENY"}});
}

TEST(LabelParser, TakesWholeWordsInCapitalsOnly) {
  expect_labels({{"ALLOWED", ""},
                 {"DISALLOW", ""},
                 {"allow", ""},
                 {"Allow", ""},
                 {"DENYING", ""},
                 {"DE-ESCALATION", ""},
                 {"DENY-LIST", ""},
                 {"ALLOW_ALL", ""},
                 {"ALLOW2", ""},
                 {"DENY'S", ""},
                 {"DENY’S", ""},
                 {"ＡＬＬＯＷ", ""},
                 {"АLLOW", ""},        // begins with a Cyrillic letter
                 {"ALLOWЕD", ""},      // a Cyrillic letter behind it
                 {"ALLOW\u0301", ""},  // a combining accent
                 {"ALLOW\u200BED", ""},
                 {"AL\u200BLOW", ""},
                 {"A L L O W", ""},
                 {"ＸDENY", ""},
                 {"許可", ""},
                 {"", ""},
                 {"ALLOWED is not it.\nDENY", "DENY"}});
}

TEST(LabelParser, ALineThatNamesTwoLabelsIsUnparsed) {
  expect_labels({{"I would not ALLOW this but DENY it.", ""},
                 {"ALLOW or DENY", ""},
                 {"ALLOW/DENY", ""},
                 {"Answer ALLOW, ESCALATION, DENY or REFUSE.\nDENY", ""},
                 {"ALLOW、DENY\nDENY", ""},
                 {"# 最終回答\nALLOW DENY\nALLOW", ""}});
}

TEST(LabelParser, SurvivesTextThatIsNotUtf8) {
  expect_labels({{"\xff\xfe ALLOW \x80", "ALLOW"}, {"\xe6\x9c", ""}, {"ALLOW\xe6", "ALLOW"}});
}

TEST(NumberParser, ReadsBehindTheLastMark) {
  expect_numbers({{"3 + 4 = 7\n#### 7", "7"},
                  {"#### 42", "42"},
                  {"####42", "42"},
                  {"#### 1,234", "1234"},
                  {"#### $12.50", "12.5"},
                  {"#### -3", "-3"},
                  {"#### 5\n#### 6", "6"},
                  {"#### 42\nThat is my answer.", "42"},
                  {"####\n42", "42"},
                  {"# 思考ステップ\n3 + 4 = 7\n# 最終回答\n7", "7"},
                  {"# 最終回答\n\n７個", "7"},
                  {"# 最終回答: 7", "7"},
                  {"# 最終回答：７", "7"},
                  {"#### 最終回答\n7", "7"},
                  {"#### 5\n# 最終回答\n7", "7"},
                  {"# 最終回答\n7\n#### 5", "5"},
                  {"# 最終回答\n7\n8", "7"}});
}

TEST(NumberParser, IsUnparsedWithoutAMarkOrWithoutOneNumberBehindIt) {
  expect_numbers({{"42", ""},
                  {"The answer is 42.", ""},
                  {"### 42", ""},
                  {"42 ####", ""},
                  {"#### none\n42", ""},
                  {"#### 42 or 43", ""},
                  {"#### forty-two", ""},
                  {"最終回答\n7", ""},
                  {"7\n# 最終回答\n", ""},
                  {"# 最終回答\nわかりません\n7", ""},
                  {"", ""}});
}

TEST(NumberParser, TheNumberOfUnmarkedTextIsThatOfItsLastLineWithDigits) {
  EXPECT_EQ(last_number("3 + 4 = 7\nThe answer is 7.\nThat is all.")->text(), "7");
  EXPECT_EQ(last_number("答えは１２です")->text(), "12");
  EXPECT_FALSE(last_number("7\nbetween 3 and 4"));
  EXPECT_FALSE(last_number("none"));
}

// Of every split and both languages: what a right answer holds is what is read from it.
TEST(GeneratedAnswers, ParseToTheirOwnResultsAndLabels) {
  std::size_t problems = 0, decisions = 0;
  data::generate_records({.tasks = {data::GeneratedTask::kMath, data::GeneratedTask::kDecision},
                          .languages = {data::Language::kEnglish, data::Language::kJapanese},
                          .count = 4000,
                          .seed = 3},
                         [&](const data::GeneratedRecord& record) {
                           const std::optional<NamedLabel> label = parse_label(record.answer);
                           if (record.task == "decision") {
                             ++decisions;
                             ASSERT_TRUE(label) << record.answer;
                             EXPECT_EQ(data::kFourClasses[label->label], record.label);
                             return;
                           }
                           ++problems;
                           EXPECT_FALSE(label);
                           const std::optional<Decimal> number = parse_number(record.answer);
                           ASSERT_TRUE(number) << record.answer;
                           // Results are written without superfluous zeros, as the last word of the answer.
                           EXPECT_EQ(number->text(), record.answer.substr(record.answer.find_last_of(" \n") + 1));
                         });
  EXPECT_EQ(problems, 2000u);
  EXPECT_EQ(decisions, 2000u);
}

}  // namespace
}  // namespace nkat::validation
