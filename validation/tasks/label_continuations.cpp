#include "validation/tasks/label_continuations.h"

#include "data/datasets/record.h"
#include "validation/questions/answer_parser.h"

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

}  // namespace nkat::validation
