#include "data/synthetic/word_problem.h"

#include <array>

#include <fmt/format.h>

namespace nkat::data {
namespace {

using Numbers = std::vector<std::int64_t>;

std::int64_t between(RandomStream& random, std::int64_t low, std::int64_t high) {
  return low + static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(high - low + 1)));
}

// Whole hundredths without superfluous zeros: 1884 -> "18.84", 1250 -> "12.5", 4000 -> "40".
std::string hundredths(std::int64_t value) {
  std::string text = fmt::format("{}.{:02}", value / 100, value % 100);
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text;
}

Problem made(std::string kind, Numbers numbers, std::vector<std::string> steps) {
  const std::string& last = steps.back();
  const std::string result = last.substr(last.rfind(' ') + 1);
  return {std::move(kind), std::move(numbers), std::move(steps), result};
}

Problem sum(RandomStream& random) {
  const auto a = between(random, 3, 99), b = between(random, 2, 99);
  return made("sum", {a, b}, {fmt::format("{} + {} = {}", a, b, a + b)});
}

Problem difference(RandomStream& random) {
  const auto a = between(random, 10, 99), b = between(random, 2, a - 1);
  return made("difference", {a, b}, {fmt::format("{} - {} = {}", a, b, a - b)});
}

Problem product(RandomStream& random) {
  const auto a = between(random, 2, 9), b = between(random, 2, 30);
  return made("product", {a, b}, {fmt::format("{} × {} = {}", a, b, a * b)});
}

Problem quotient(RandomStream& random) {
  const auto b = between(random, 2, 9), result = between(random, 2, 30);
  return made("quotient", {b * result, b}, {fmt::format("{} ÷ {} = {}", b * result, b, result)});
}

Problem change(RandomStream& random) {
  const auto a = between(random, 2, 9), b = between(random, 2, 10);
  const auto paid = (a * b / 10 + 1) * 10;
  return made("change", {a, b, paid},
              {fmt::format("{} × {} = {}", a, b, a * b), fmt::format("{} - {} = {}", paid, a * b, paid - a * b)});
}

Problem two_steps(RandomStream& random) {
  const auto a = between(random, 5, 60), b = between(random, 2, 39), c = between(random, 2, a + b - 1);
  return made("two steps", {a, b, c},
              {fmt::format("{} + {} = {}", a, b, a + b), fmt::format("{} - {} = {}", a + b, c, a + b - c)});
}

Problem expression(RandomStream& random) {
  const auto a = between(random, 2, 60), b = between(random, 2, 9), c = between(random, 2, 9);
  return made("expression", {a, b, c},
              {fmt::format("{} × {} = {}", b, c, b * c), fmt::format("{} + {} = {}", a, b * c, a + b * c)});
}

Problem percentage(RandomStream& random) {
  static constexpr std::array<std::int64_t, 6> kParts = {10, 20, 25, 30, 50, 75};
  const auto a = kParts[random.below(kParts.size())], b = between(random, 1, 30) * 20;
  return made("percentage", {a, b},
              {fmt::format("{} × {} = {}", a, b, a * b), fmt::format("{} ÷ 100 = {}", a * b, a * b / 100)});
}

Problem rectangle_area(RandomStream& random) {
  const auto a = between(random, 2, 30), b = between(random, 2, 9);
  return made("rectangle area", {a, b}, {fmt::format("{} × {} = {}", a, b, a * b)});
}

Problem rectangle_perimeter(RandomStream& random) {
  const auto a = between(random, 2, 40), b = between(random, 2, 40);
  return made("rectangle perimeter", {a, b},
              {fmt::format("{} + {} = {}", a, b, a + b), fmt::format("2 × {} = {}", a + b, 2 * (a + b))});
}

Problem triangle_area(RandomStream& random) {
  const auto a = between(random, 1, 15) * 2, b = between(random, 2, 9);
  return made("triangle area", {a, b},
              {fmt::format("{} × {} = {}", a, b, a * b), fmt::format("{} ÷ 2 = {}", a * b, a * b / 2)});
}

Problem third_angle(RandomStream& random) {
  const auto a = between(random, 4, 20) * 5, b = between(random, 1, (170 - a) / 5) * 5;
  return made("third angle", {a, b},
              {fmt::format("{} + {} = {}", a, b, a + b), fmt::format("180 - {} = {}", a + b, 180 - a - b)});
}

Problem hypotenuse(RandomStream& random) {
  static constexpr std::array<std::array<std::int64_t, 3>, 6> kTriples = {
      {{3, 4, 5}, {5, 12, 13}, {8, 15, 17}, {7, 24, 25}, {20, 21, 29}, {9, 40, 41}}};
  const auto& [x, y, z] = kTriples[random.below(kTriples.size())];
  const auto scale = between(random, 1, 60 / z + 1);
  const bool swapped = random.below(2) == 1;
  const auto a = (swapped ? y : x) * scale, b = (swapped ? x : y) * scale, c = z * scale;
  return made("hypotenuse", {a, b},
              {fmt::format("{} × {} = {}", a, a, a * a), fmt::format("{} × {} = {}", b, b, b * b),
               fmt::format("{} + {} = {}", a * a, b * b, c * c), fmt::format("√{} = {}", c * c, c)});
}

Problem circumference(RandomStream& random) {
  const auto a = between(random, 1, 60);
  return made("circumference", {a}, {fmt::format("3.14 × {} = {}", a, hundredths(314 * a))});
}

Problem parallelogram_area(RandomStream& random) {
  const auto a = between(random, 2, 30), b = between(random, 2, 9);
  return made("parallelogram area", {a, b}, {fmt::format("{} × {} = {}", a, b, a * b)});
}

Problem trapezoid_area(RandomStream& random) {
  const auto a = between(random, 2, 20), b = a + 2 * between(random, 1, 10), c = between(random, 2, 9);
  return made("trapezoid area", {a, b, c},
              {fmt::format("{} + {} = {}", a, b, a + b), fmt::format("{} × {} = {}", a + b, c, (a + b) * c),
               fmt::format("{} ÷ 2 = {}", (a + b) * c, (a + b) * c / 2)});
}

Problem square_side(RandomStream& random) {
  const auto side = between(random, 2, 60);
  return made("square side", {side * side}, {fmt::format("√{} = {}", side * side, side)});
}

std::string steps_as_lines(const WordedProblem& worded) {
  std::string lines = worded.formula.empty() ? "" : worded.formula + "\n";
  for (const std::string& step : worded.problem.steps) lines += step + "\n";
  return lines;
}

}  // namespace

Problem draw_problem(RandomStream& random, std::size_t kind) {
  static constexpr std::array<Problem (*)(RandomStream&), kProblemKinds> kDraws = {sum,
                                                                                   difference,
                                                                                   product,
                                                                                   quotient,
                                                                                   change,
                                                                                   two_steps,
                                                                                   expression,
                                                                                   percentage,
                                                                                   rectangle_area,
                                                                                   rectangle_perimeter,
                                                                                   triangle_area,
                                                                                   third_angle,
                                                                                   hypotenuse,
                                                                                   circumference,
                                                                                   parallelogram_area,
                                                                                   trapezoid_area,
                                                                                   square_side};
  return kDraws[kind](random);
}

std::string problem_key(const Problem& problem) {
  return fmt::format("{} {}", problem.kind, fmt::join(problem.numbers, " "));
}

WordedProblem draw_worded_problem(RandomStream& random, Language language) {
  WordedProblem worded;
  const std::size_t kind = random.below(kProblemKinds);
  worded.problem = draw_problem(random, kind);
  const ProblemTexts& texts = problem_texts(language, kind);
  const WordLists& words = word_lists(language);
  Slots slots = {{"name", std::string(pick(random, words.names))}, {"things", std::string(pick(random, words.things))}};
  for (std::size_t i = 0; i < worded.problem.numbers.size(); ++i) {
    slots[std::string(1, static_cast<char>('a' + i))] = std::to_string(worded.problem.numbers[i]);
  }
  worded.question = fill(pick(random, texts.questions), slots);
  worded.formula = texts.formula;
  worded.field = kind < kArithmeticKinds ? "arithmetic" : "geometry";
  return worded;
}

GeneratedRecord draw_problem_record(RandomStream& random, Language language) {
  static const Words english = {"Solve the problem step by step. End with #### and the number alone.",
                                "Work out the answer and write it after #### on the last line.",
                                "Show each step of the calculation, then #### and the result."};
  static const Words japanese = {"問題を順に解き、最後に「# 最終回答」の下に数だけを書いてください。",
                                 "「# 思考ステップ」に計算を、「# 最終回答」に答えの数を書いてください。",
                                 "計算の過程を示し、「# 最終回答」の次の行に結果を書いてください。"};
  const WordedProblem worded = draw_worded_problem(random, language);
  const bool is_english = language == Language::kEnglish;
  const std::string lines = steps_as_lines(worded);
  return {.key = problem_key(worded.problem),
          .system = std::string(pick(random, is_english ? english : japanese)),
          .user = worded.question,
          .answer = is_english ? fmt::format("{}#### {}", lines, worded.problem.result)
                               : fmt::format("# 思考ステップ\n{}# 最終回答\n{}", lines, worded.problem.result),
          .text = "",
          .label = "",
          .task = "math",
          .language = language,
          .kind = worded.field};
}

}  // namespace nkat::data
