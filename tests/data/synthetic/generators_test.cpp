#include <cmath>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "data/synthetic/decision.h"
#include "data/synthetic/generator.h"
#include "data/synthetic/word_problem.h"
#include "tests/support/message_of.h"

namespace nkat::data {
namespace {

std::vector<GeneratedRecord> generate(GeneratorOptions options) {
  std::vector<GeneratedRecord> records;
  generate_records(options, [&](const GeneratedRecord& record) { records.push_back(record); });
  return records;
}

const std::vector<GeneratedTask> kBothTasks = {GeneratedTask::kDecision, GeneratedTask::kMath};
const std::vector<Language> kBothLanguages = {Language::kEnglish, Language::kJapanese};

std::set<std::string> words_of(const std::vector<GeneratedRecord>& records) {
  std::set<std::string> words;
  for (const GeneratedRecord& record : records) words.insert(record.text.empty() ? record.user : record.text);
  return words;
}

// "a + b × c", "√a" and the like, × and ÷ before + and -, read from left to right.
class Expression {
 public:
  explicit Expression(const std::string& text) : words_(text) {}
  double value() {
    double sum = product();
    for (std::string sign; words_ >> sign;) sum += (sign == "+" ? 1.0 : -1.0) * product();
    return sum;
  }

 private:
  double number() {
    std::string word;
    words_ >> word;
    const std::string root = "√";
    return word.starts_with(root) ? std::sqrt(std::stod(word.substr(root.size()))) : std::stod(word);
  }
  double product() {
    double result = number();
    std::string sign;
    for (std::streampos before = words_.tellg(); words_ >> sign; before = words_.tellg()) {
      if (sign != "×" && sign != "÷") {
        words_.seekg(before);
        break;
      }
      const double factor = number();
      result = sign == "×" ? result * factor : result / factor;
    }
    return result;
  }
  std::istringstream words_;
};

// What stands after the mark of the final answer, and the lines of numbers above it (formulas begin with a word).
struct ParsedAnswer {
  std::string last;
  std::vector<std::string> equations;
};
ParsedAnswer parse_answer(const std::string& answer) {
  ParsedAnswer parsed;
  std::istringstream lines(answer);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("#### ")) line = line.substr(5);
    parsed.last = line;
    const std::string root = "√";
    const std::string start = line.starts_with(root) ? line.substr(root.size()) : line;
    const bool begins_with_a_number = !start.empty() && start[0] >= '0' && start[0] <= '9';
    if (begins_with_a_number && line.find(" = ") != std::string::npos) parsed.equations.push_back(line);
  }
  return parsed;
}

std::vector<std::string> numbers_in(const std::string& text) {
  std::vector<std::string> numbers;
  std::string number;
  for (const char letter : text + " ") {
    const bool digit = letter >= '0' && letter <= '9';
    if (digit) number += letter;
    if (!digit && !number.empty()) numbers.push_back(std::exchange(number, ""));
  }
  return numbers;
}

TEST(Generators, SplitsShareNoRequest) {
  for (const GeneratedTask task :
       {GeneratedTask::kDecision, GeneratedTask::kMath, GeneratedTask::kGeneral, GeneratedTask::kSmallTalk}) {
    std::set<std::string> all, keys;
    for (const Split split : {Split::kTrain, Split::kValidation, Split::kTest}) {
      const std::int64_t count = task == GeneratedTask::kSmallTalk ? 2000 : 5000;
      const auto records = generate({.tasks = {task},
                                     .languages = kBothLanguages,
                                     .count = count,
                                     .seed = static_cast<std::uint64_t>(split),
                                     .split = split});
      for (const std::string& request : words_of(records)) EXPECT_TRUE(all.insert(request).second) << request;
      std::set<std::string> own;
      for (const auto& record : records) own.insert(record.key);
      for (const std::string& key : own) EXPECT_TRUE(keys.insert(key).second) << key;
    }
  }
}

TEST(Generators, GeneralTextsTellNoRequestOfAnotherSplit) {
  const auto held_out = generate(
      {.tasks = kBothTasks, .languages = kBothLanguages, .count = 2000, .seed = 3, .split = Split::kValidation});
  const auto general = generate({.tasks = {GeneratedTask::kGeneral},
                                 .languages = kBothLanguages,
                                 .count = 5000,
                                 .seed = 3,
                                 .split = Split::kTrain});
  std::set<std::string> keys;
  for (const auto& record : held_out) keys.insert(record.key);
  for (const auto& record : general) EXPECT_FALSE(keys.contains(record.key)) << record.text;
}

TEST(Generators, EveryBeginningIsBalanced) {
  const auto records = generate({.tasks = kBothTasks, .languages = kBothLanguages, .count = 160});
  std::map<std::string, int> counts;
  for (const auto& record : records) ++counts[record.task + " " + record.label + " " + language_code(record.language)];
  for (const std::string language : {"en", "ja"}) {
    EXPECT_EQ(counts["math  " + language], 40);
    for (const auto label : kFourClasses) EXPECT_EQ(counts["decision " + std::string(label) + " " + language], 10);
  }
}

TEST(Generators, SameOptionsGiveSameLinesAndLongerSetsBeginAlike) {
  const auto lines = [](std::int64_t count, std::uint64_t seed) {
    std::string all;
    for (const auto& record :
         generate({.tasks = kBothTasks, .languages = kBothLanguages, .count = count, .seed = seed}))
      all += to_line(record);
    return all;
  };
  EXPECT_EQ(lines(200, 7), lines(200, 7));
  EXPECT_THAT(lines(300, 7), ::testing::StartsWith(lines(200, 7)));
  EXPECT_NE(lines(200, 7), lines(200, 8));
}

TEST(Generators, RunningOutOfRequestsIsSaidWithTheNumberFound) {
  const GeneratorOptions options{.count = 1000, .split = Split::kValidation, .max_draws = 5};
  EXPECT_THAT(nkat::testing::message_of<ConfigError>([&] { generate_records(options, [](const GeneratedRecord&) {}); }),
              ::testing::ContainsRegex("--count 1000: only [0-9]+ different requests"));
}

TEST(DecisionGenerator, AnswersNameTheLabelInTheFirstLineAndAReasonInTheSecond) {
  const auto records = generate({.tasks = {GeneratedTask::kDecision}, .languages = kBothLanguages, .count = 800});
  for (const auto& record : records) {
    const bool english = record.language == Language::kEnglish;
    const std::string start =
        (english ? "Decision: " : "判断: ") + record.label + (english ? "\nReason: " : "\n理由: ");
    EXPECT_THAT(record.answer, ::testing::StartsWith(start));
    EXPECT_GT(record.answer.size(), start.size() + 5);
    const auto line = nlohmann::json::parse(to_line(record));
    EXPECT_EQ(line["label"], record.label);
    EXPECT_EQ(line["messages"].size(), 3u);
    EXPECT_EQ(line["messages"][2]["role"], "assistant");
  }
}

TEST(ProblemGenerator, EveryStepIsTrueAndTheLastIsTheAnswer) {
  const auto records = generate({.tasks = {GeneratedTask::kMath}, .languages = kBothLanguages, .count = 5000});
  for (const auto& record : records) {
    const ParsedAnswer parsed = parse_answer(record.answer);
    ASSERT_FALSE(parsed.equations.empty()) << record.answer;
    for (const std::string& equation : parsed.equations) {
      const std::size_t equals = equation.rfind(" = ");
      EXPECT_NEAR(Expression(equation.substr(0, equals)).value(), std::stod(equation.substr(equals + 3)), 1e-9)
          << equation;
    }
    EXPECT_EQ(parsed.equations.back().substr(parsed.equations.back().rfind(' ') + 1), parsed.last) << record.answer;
  }
}

TEST(ProblemGenerator, FirstStepUsesTheNumbersOfTheProblem) {
  const auto records = generate({.tasks = {GeneratedTask::kMath}, .languages = kBothLanguages, .count = 2000});
  const std::set<std::string> constants = {"2", "3", "14", "100", "180"};
  for (const auto& record : records) {
    const auto given = numbers_in(record.user);
    const std::string first = parse_answer(record.answer).equations.front();
    for (const std::string& number : numbers_in(first.substr(0, first.rfind(" = ")))) {
      EXPECT_TRUE(constants.contains(number) || ::testing::Value(given, ::testing::Contains(number)))
          << record.user << " / " << first;
    }
  }
}

// Each kind solved a second time, from its numbers, by what the words ask for.
TEST(ProblemGenerator, ResultsFollowFromTheNumbersOfTheKind) {
  using Solve = double (*)(const std::vector<std::int64_t>&);
  static const auto real = [](std::int64_t value) { return static_cast<double>(value); };
  const std::map<std::string, Solve> solutions = {
      {"sum", [](auto& n) { return real(n[0] + n[1]); }},
      {"difference", [](auto& n) { return real(n[0] - n[1]); }},
      {"product", [](auto& n) { return real(n[0] * n[1]); }},
      {"quotient", [](auto& n) { return real(n[0]) / real(n[1]); }},
      {"change", [](auto& n) { return real(n[2] - n[0] * n[1]); }},
      {"two steps", [](auto& n) { return real(n[0] + n[1] - n[2]); }},
      {"expression", [](auto& n) { return real(n[0] + n[1] * n[2]); }},
      {"percentage", [](auto& n) { return real(n[0]) / 100.0 * real(n[1]); }},
      {"rectangle area", [](auto& n) { return real(n[0] * n[1]); }},
      {"rectangle perimeter", [](auto& n) { return real(2 * n[0] + 2 * n[1]); }},
      {"triangle area", [](auto& n) { return real(n[0] * n[1]) / 2; }},
      {"third angle", [](auto& n) { return real(180 - n[0] - n[1]); }},
      {"hypotenuse", [](auto& n) { return std::hypot(real(n[0]), real(n[1])); }},
      {"circumference", [](auto& n) { return 3.14 * real(n[0]); }},
      {"parallelogram area", [](auto& n) { return real(n[0] * n[1]); }},
      {"trapezoid area", [](auto& n) { return real(n[0] + n[1]) * real(n[2]) / 2; }},
      {"square side", [](auto& n) { return std::sqrt(real(n[0])); }}};
  ASSERT_EQ(solutions.size(), kProblemKinds);
  RandomStream random(5, "problems");
  for (std::size_t kind = 0; kind < kProblemKinds; ++kind) {
    for (int i = 0; i < 300; ++i) {
      const Problem problem = draw_problem(random, kind);
      ASSERT_TRUE(solutions.contains(problem.kind)) << problem.kind;
      EXPECT_NEAR(std::stod(problem.result), solutions.at(problem.kind)(problem.numbers), 1e-9) << problem_key(problem);
    }
  }
}

}  // namespace
}  // namespace nkat::data
