// Results of the evaluation tasks, with and without an adapter on the same samples, and how answers are scored:
// accuracy with intervals, the paired test, confusion matrix and macro F1.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "validation/statistics/interval.h"

namespace nkat::validation {

// Loss over a file's target tokens; intervals by bootstrap over samples.
struct LossFinding {
  std::string file = {};
  std::int64_t samples = 0;
  std::int64_t tokens = 0;  // targets
  Estimate loss = {};       // with the adapter if there is one, nats per target token
  Estimate perplexity = {};
  // With an adapter only.
  std::optional<Estimate> base_loss = std::nullopt;
  std::optional<Estimate> base_perplexity = std::nullopt;
  std::optional<Estimate> change = std::nullopt;      // loss - base, paired by sample
  std::optional<Estimate> divergence = std::nullopt;  // KL(base || adapted), nats per target token
};

// Right answers of one model on n questions.
struct Accuracy {
  std::int64_t right = 0;
  std::int64_t questions = 0;
  double value() const { return questions > 0 ? static_cast<double>(right) / static_cast<double>(questions) : 0.0; }
  Interval interval = {};  // Wilson
};

struct PairedAccuracy {
  Accuracy model;                               // with the adapter if there is one
  std::optional<Accuracy> base = std::nullopt;  // of the bare model
  std::int64_t gained = 0;                      // wrong without, right with the adapter
  std::int64_t lost = 0;
  std::optional<double> p = std::nullopt;  // McNemar, exact, two-sided
};

inline constexpr std::size_t kUnparsed = 4;                    // column of a confusion matrix: no label in the answer
using Confusion = std::array<std::array<std::int64_t, 5>, 4>;  // [true label][given label or kUnparsed]

struct DecisionScore {
  PairedAccuracy accuracy = {};
  Confusion confusion = {};
  double macro_f1 = 0.0;
  std::optional<Confusion> base_confusion = std::nullopt;
  std::optional<double> base_macro_f1 = std::nullopt;
};

struct DecisionFinding {
  std::string file = {};
  // "all" and each language by its code ("en", "ja", "" where a record names none).
  std::map<std::string, DecisionScore> generated = {};
  std::map<std::string, DecisionScore> likelihood = {};
};

struct MathFinding {
  std::string file = {};
  // "all", and by language and kind ("arithmetic", "geometry") where known.
  std::map<std::string, PairedAccuracy> scores = {};
  std::int64_t unparsed = 0;  // answers without a number that could be read
  std::int64_t base_unparsed = 0;
  // Unparsed answers whose last number is right: a gain in form, not in reasoning. Never counted in `scores`.
  std::int64_t unmarked_right = 0;
  std::int64_t base_unmarked_right = 0;
  // All questions, with these counted as right: a gain that holds here too isn't one in form alone.
  PairedAccuracy any_form = {};
  double tokens_per_second = 0.0;  // new tokens of all answers over the time of their generation
};

struct LayerAblation {
  std::int64_t layer = 0;
  double gate = 0.0;
  // Held-out loss with this layer's gate closed, minus that of the whole adapter; paired by sample.
  Estimate loss_change = {};
};

struct EvalResults {
  std::optional<std::int64_t> step = std::nullopt;  // of the checkpoint that was measured, in a validation
  std::string precision = "";                       // "bf16", "fp32"; "" where the caller knows
  std::optional<LossFinding> held_out = std::nullopt;
  std::optional<LossFinding> general = std::nullopt;
  std::optional<DecisionFinding> decision = std::nullopt;
  std::optional<MathFinding> math = std::nullopt;
  std::vector<LayerAblation> ablation = {};
};

// right, base_right: one per question, in the same order; base_right is empty without a base. At least one question.
PairedAccuracy paired_accuracy(const std::vector<bool>& right, const std::vector<bool>& base_right);

// labels: 0 to 3; given: 0 to 3 or kUnparsed, one per question.
Confusion confusion_of(const std::vector<std::size_t>& labels, const std::vector<std::size_t>& given);

// The mean over the classes that occur, as a label or as an answer, of F1 = 2 TP / (2 TP + FP + FN); an unparsed answer
// is a miss of its class and a hit of none. 0 for no questions.
double macro_f1(const Confusion& confusion);

// Which questions make up a score: "all", each language ("" for those that name none), and each kind that is named. A
// question counts once in each group, also where its language and kind are one word or "all".
std::map<std::string, std::vector<std::size_t>> groups_of(const std::vector<std::string>& languages,
                                                          const std::vector<std::string>& kinds);

// The values at these indices; none of an empty list.
template <class Value>
std::vector<Value> selected(const std::vector<Value>& values, const std::vector<std::size_t>& indices) {
  std::vector<Value> chosen;
  if (values.empty()) return chosen;
  for (const std::size_t index : indices) chosen.push_back(values[index]);
  return chosen;
}

}  // namespace nkat::validation
