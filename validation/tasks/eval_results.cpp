#include "validation/tasks/eval_results.h"

#include <algorithm>
#include <set>

#include "core/error.h"
#include "validation/statistics/interval.h"

namespace nkat::validation {
namespace {

Accuracy accuracy(const std::vector<bool>& right) {
  Accuracy result{.right = std::ranges::count(right, true), .questions = static_cast<std::int64_t>(right.size())};
  result.interval = wilson_interval(result.right, result.questions);
  return result;
}

}  // namespace

PairedAccuracy paired_accuracy(const std::vector<bool>& right, const std::vector<bool>& base_right) {
  PairedAccuracy result{.model = accuracy(right)};
  if (base_right.empty()) return result;
  NKAT_INVARIANT(right.size() == base_right.size());
  result.base = accuracy(base_right);
  for (std::size_t i = 0; i < right.size(); ++i) {
    result.gained += right[i] && !base_right[i] ? 1 : 0;
    result.lost += !right[i] && base_right[i] ? 1 : 0;
  }
  result.p = mcnemar_p(result.gained, result.lost);
  return result;
}

Confusion confusion_of(const std::vector<std::size_t>& labels, const std::vector<std::size_t>& given) {
  NKAT_INVARIANT(labels.size() == given.size());
  Confusion confusion = {};
  for (std::size_t i = 0; i < labels.size(); ++i) ++confusion.at(labels[i]).at(given[i]);
  return confusion;
}

double macro_f1(const Confusion& confusion) {
  double sum = 0.0;
  int classes = 0;
  for (std::size_t label = 0; label < confusion.size(); ++label) {
    std::int64_t occurrences = 0;  // 2 TP + FP + FN: as a label and as an answer
    for (const std::int64_t count : confusion[label]) occurrences += count;
    for (const auto& row : confusion) occurrences += row[label];
    if (occurrences == 0) continue;
    sum += 2.0 * static_cast<double>(confusion[label][label]) / static_cast<double>(occurrences);
    ++classes;
  }
  return classes > 0 ? sum / classes : 0.0;
}

std::map<std::string, std::vector<std::size_t>> groups_of(const std::vector<std::string>& languages,
                                                          const std::vector<std::string>& kinds) {
  std::map<std::string, std::vector<std::size_t>> groups;
  for (std::size_t i = 0; i < languages.size(); ++i) {
    std::set<std::string> names = {"all", languages[i]};  // a question is in a group once, whatever it is called
    if (i < kinds.size() && !kinds[i].empty()) names.insert(kinds[i]);
    for (const std::string& name : names) groups[name].push_back(i);
  }
  return groups;
}

}  // namespace nkat::validation
