// Right and wrong answers as figures: shares with intervals, the paired test, confusion matrix and macro F1.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "validation/report/eval_results.h"

namespace nkat::validation {

// right, base_right: one a question, in the same order; base_right is empty without a base. At least one question.
PairedAccuracy paired_accuracy(const std::vector<bool>& right, const std::vector<bool>& base_right);

// labels: 0 to 3; given: 0 to 3 or kUnparsed, one a question.
Confusion confusion_of(const std::vector<std::size_t>& labels, const std::vector<std::size_t>& given);

// The mean over the classes that occur, as a label or as an answer, of F1 = 2 TP / (2 TP + FP + FN); an unparsed answer
// is a miss of its class and a hit of none. 0 for no questions.
double macro_f1(const Confusion& confusion);

// Which questions make up a score: "all", each language ("" for those that name none), and each kind that is named. A
// question counts once in each group, also where its language and kind are one word or "all".
std::map<std::string, std::vector<std::size_t>> groups_of(const std::vector<std::string>& languages,
                                                          const std::vector<std::string>& kinds);

// values at these indices
template <class Value>
std::vector<Value> selected(const std::vector<Value>& values, const std::vector<std::size_t>& indices) {
  std::vector<Value> chosen;
  if (values.empty()) return chosen;
  for (const std::size_t index : indices) chosen.push_back(values[index]);
  return chosen;
}

}  // namespace nkat::validation
