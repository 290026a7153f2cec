// Arithmetic and plane geometry with worked answers, right by construction: every number of an answer is computed from
// the numbers of its problem, in whole hundredths.
// English answers end in "#### 42", the form of GSM8K; Japanese ones are
// "# 思考ステップ\n...\n# 最終回答\n42". Every step is an equation or, for geometry, begins with its formula.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "data/synthetic/generated_record.h"
#include "data/synthetic/phrases.h"

namespace nkat::data {

// What is asked in one language. `question` may name {name}, {other}, {things} and the problem's numbers {a}, {b}, {c}.
struct ProblemTexts {
  Words questions;
  std::string_view formula;  // of geometry, in words; "" for none
};

// One problem: its numbers, and the steps that solve it as "expression = value".
struct Problem {
  std::string kind;
  std::vector<std::int64_t> numbers;  // a, b, c, as far as the kind needs them
  std::vector<std::string> steps;
  std::string result;  // the last step's value
};

inline constexpr std::size_t kArithmeticKinds = 8;
inline constexpr std::size_t kGeometryKinds = 9;
inline constexpr std::size_t kProblemKinds = kArithmeticKinds + kGeometryKinds;

// The kind and its numbers: the same problem in other words, or in the other language, has the same key.
std::string problem_key(const Problem& problem);

Problem draw_problem(RandomStream& random, std::size_t kind);
// The wording of a kind; in the order of the kinds.
const ProblemTexts& problem_texts(Language language, std::size_t kind);

struct WordedProblem {
  Problem problem;
  std::string question;
  std::string formula;
  std::string field;  // "arithmetic" or "geometry"
};
WordedProblem draw_worded_problem(RandomStream& random, Language language);

GeneratedRecord draw_problem_record(RandomStream& random, Language language);

}  // namespace nkat::data
