// Plain prose and small talk with the words, numbers and subjects of the decisions and problems, but none of their
// formats: what the demo model is pre-trained on, and what it may forget.
#pragma once

#include "data/synthetic/generated_record.h"
#include "data/synthetic/phrases.h"

namespace nkat::data {

// A text of a few sentences: an office story, a calculation told in prose, or a description of people and things.
GeneratedRecord draw_general_text(RandomStream& random, Language language);

// A short conversation about such sentences: repeating one, finding something in it, naming a day.
GeneratedRecord draw_small_talk(RandomStream& random, Language language);

// The patterns, by language.
struct GeneralTexts {
  Words office_stories;  // {request}, {reason}, {label}, {name}, {other}, {team}, {day}
  Words calculations;    // {question}, {steps}, {name}
  Words descriptions;    // {name}, {other}, {team}, {day}, {things}, {n}, {m}, {sum}, {next}
  std::string_view step_separator;
  std::string_view sentence_separator;
  struct Exchange {
    std::string_view user;
    std::string_view assistant;
  };
  std::vector<Exchange> exchanges;  // also {sentence}
};
const GeneralTexts& general_texts(Language language);

}  // namespace nkat::data
