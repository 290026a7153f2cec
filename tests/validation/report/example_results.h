// Evaluation results with a few round figures.
#pragma once

#include "validation/tasks/eval_results.h"

namespace nkat::validation::testing {

inline LossFinding bare_loss() {
  return {.file = "held-out.jsonl",
          .samples = 3,
          .tokens = 40,
          .loss = {.value = 2.0, .interval = Interval{1.5, 2.5}},
          .perplexity = {.value = 7.389, .interval = Interval{4.482, 12.182}}};
}

inline LossFinding paired_loss() {
  LossFinding finding = bare_loss();
  finding.base_loss = {.value = 3.0, .interval = Interval{2.5, 3.5}};
  finding.base_perplexity = {.value = 20.086};
  finding.change = {.value = -1.0, .interval = Interval{-1.25, -0.75}};
  finding.divergence = {.value = 0.000123456, .interval = Interval{0.0001, 0.0002}};
  return finding;
}

inline PairedAccuracy paired_accuracy() {
  return {.model = {.right = 8, .questions = 10, .interval = {0.5, 0.9}},
          .base = Accuracy{.right = 5, .questions = 10, .interval = {0.2, 0.8}},
          .gained = 4,
          .lost = 1,
          .p = 0.375};
}

}  // namespace nkat::validation::testing
