#include "validation/tasks/label_likelihood.h"

#include <algorithm>

#include "core/cli/progress.h"
#include "core/error.h"
#include "validation/tasks/answer_generation.h"
#include "validation/tasks/label_continuations.h"

namespace nkat::validation {
namespace {

models::ScoredSequence scored_sequence(const EvalInputs& inputs, const Question& question, const std::string& answer) {
  std::vector<data::Turn> turns = question.turns;
  turns.push_back({data::Role::kAssistant, answer});
  const data::ChatTemplate::Encoded encoded = inputs.text.chat_template.encode(
      inputs.text.tokenizer, turns, data::AddedTokens::kText, /*generation_prompt=*/false);
  // The last turn's targets end with its <|end|>.
  const auto last = std::ranges::find(encoded.is_target.rbegin(), encoded.is_target.rend(), true);
  NKAT_INVARIANT(last != encoded.is_target.rend());
  const auto end_of_turn = static_cast<std::size_t>(encoded.is_target.rend() - last) - 1;
  std::size_t first = end_of_turn;
  while (first > 0 && encoded.is_target[first - 1]) --first;
  std::vector<std::int32_t> tokens(encoded.tokens.begin(),
                                   encoded.tokens.begin() + static_cast<std::ptrdiff_t>(end_of_turn));
  require_usable(tokens, inputs, question);
  return {.tokens = std::move(tokens), .first = static_cast<std::int64_t>(first)};
}

}  // namespace

std::vector<models::ScoredSequence> encode_labels(const EvalInputs& inputs,
                                                  const std::vector<DecisionQuestion>& questions) {
  std::vector<models::ScoredSequence> sequences;
  for (const DecisionQuestion& one : questions) {
    for (const std::string& answer : label_continuations(one)) {
      sequences.push_back(scored_sequence(inputs, one.question, answer));
    }
  }
  return sequences;
}

std::vector<LabelScores> score_labels(const EvalModel& model, const std::vector<at::Tensor>& blocks,
                                      const std::vector<models::ScoredSequence>& sequences, const std::string& title) {
  ProgressBar bar(title, sequences.size());
  const auto show = [&](std::int64_t done, std::int64_t) { bar.update(static_cast<std::uint64_t>(done), "scored"); };
  const std::vector<double> sums = models::log_probabilities(model.decoder, blocks, sequences, {.progress = show});
  std::vector<LabelScores> scores(sums.size() / 4);
  for (std::size_t i = 0; i < sums.size(); ++i) scores[i / 4][i % 4] = sums[i];
  return scores;
}

}  // namespace nkat::validation
