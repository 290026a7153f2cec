// What an adapter gained and lost against its base, on the same samples.
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
  Estimate loss = {};       // of the model as it was asked for: with the adapter if there is one, nats per target token
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
  std::map<std::string, PairedAccuracy> scores =
      {};                     // "all", and by language, by kind ("arithmetic", "geometry") where known
  std::int64_t unparsed = 0;  // answers without a number that could be read
  std::int64_t base_unparsed = 0;
  // Of the unparsed answers, those whose last number would have been right: a gain in form, not in reasoning. Never in
  // `scores`.
  std::int64_t unmarked_right = 0;
  std::int64_t base_unmarked_right = 0;
  // All questions, with these counted as right: a gain that holds here too isn't one of form alone.
  PairedAccuracy any_form = {};
  double tokens_per_second = 0.0;  // new tokens of all answers over the time of their generation
};

struct LayerAblation {
  std::int64_t layer = 0;
  double gate = 0.0;
  Estimate loss_change =
      {};  // held-out loss with this layer's gate shut, less that of the whole adapter; paired by sample
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

}  // namespace nkat::validation
