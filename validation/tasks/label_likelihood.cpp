#include "validation/tasks/label_likelihood.h"

#include <algorithm>

#include "core/error.h"
#include "core/progress.h"
#include "data/record.h"
#include "validation/tasks/answer_parser.h"
#include "validation/tasks/answering.h"

namespace nkat::validation {
namespace {

// The text with each naming of `label` in it written as another one.
std::string with_label(const std::string& text, std::size_t label, std::string_view other) {
  std::string replaced;
  std::size_t begin = 0;
  for (const NamedLabel& word : label_words(text)) {
    if (word.label != label) continue;
    replaced.append(text, begin, word.begin - begin).append(other);
    begin = word.end;
  }
  return replaced.append(text, begin);
}

// The prompt, then the answer as an assistant's turn that has not ended.
models::ScoredSequence scored_sequence(const Subject& subject, const Question& question, const std::string& answer) {
  std::vector<data::Turn> turns = question.turns;
  turns.push_back({data::Role::kAssistant, answer});
  const data::ChatTemplate::Encoded encoded = subject.text.chat_template.encode(
      subject.text.tokenizer, turns, data::AddedTokens::kText, /*generation_prompt=*/false);
  // The last turn's targets end with its <|end|>.
  const auto last = std::ranges::find(encoded.is_target.rbegin(), encoded.is_target.rend(), true);
  NKAT_INVARIANT(last != encoded.is_target.rend());
  const auto end_of_turn = static_cast<std::size_t>(encoded.is_target.rend() - last) - 1;
  std::size_t first = end_of_turn;
  while (first > 0 && encoded.is_target[first - 1]) --first;
  return {.tokens = {encoded.tokens.begin(), encoded.tokens.begin() + static_cast<std::ptrdiff_t>(end_of_turn)},
          .first = static_cast<std::int64_t>(first)};
}

}  // namespace

std::array<std::string, 4> label_continuations(const DecisionQuestion& question) {
  std::array<std::string, 4> texts;
  const std::optional<NamedLabel> named = parse_label(question.answer);
  const bool agrees = named && named->label == question.label;
  for (std::size_t label = 0; label < texts.size(); ++label) {
    const std::string_view word = data::kFourClasses[label];
    texts[label] = agrees ? with_label(question.answer.substr(0, named->end), question.label, word) : std::string(word);
  }
  return texts;
}

std::vector<LabelScores> score_labels(const Subject& subject, const std::vector<at::Tensor>& blocks,
                                      const std::vector<DecisionQuestion>& questions, const std::string& title) {
  std::vector<models::ScoredSequence> sequences;
  for (const DecisionQuestion& one : questions) {
    encode_prompt(subject, one.question);
    for (const std::string& text : label_continuations(one)) {
      sequences.push_back(scored_sequence(subject, one.question, text));
    }
  }
  ProgressBar bar(title, sequences.size());
  const std::vector<double> sums = models::log_probabilities(
      subject.decoder, blocks, sequences,
      {.progress = [&](std::int64_t done, std::int64_t) { bar.update(static_cast<std::uint64_t>(done), ""); }});
  std::vector<LabelScores> scores(questions.size());
  for (std::size_t i = 0; i < sums.size(); ++i) scores[i / 4][i % 4] = sums[i];
  return scores;
}

}  // namespace nkat::validation
