#include "data/synthetic/general.h"

#include <fmt/format.h>

#include "data/synthetic/decision.h"
#include "data/synthetic/word_problem.h"

namespace nkat::data {
namespace {

// People, groups, days and two numbers that belong together.
Slots draw_slots(RandomStream& random, Language language) {
  const WordLists& words = word_lists(language);
  const std::size_t day = random.below(words.days.size());
  const std::size_t name = random.below(words.names.size());
  const std::size_t other = (name + 1 + random.below(words.names.size() - 1)) % words.names.size();
  const std::uint64_t n = 2 + random.below(98), m = 2 + random.below(98);
  return {{"name", std::string(words.names[name])},
          {"other", std::string(words.names[other])},
          {"team", std::string(pick(random, words.teams))},
          {"day", std::string(words.days[day])},
          {"next", std::string(words.days[(day + 1) % words.days.size()])},
          {"things", std::string(pick(random, words.things))},
          {"n", std::to_string(n)},
          {"m", std::to_string(m)},
          {"sum", std::to_string(n + m)}};
}

std::string describe(RandomStream& random, Language language, const Slots& slots) {
  return fill(pick(random, general_texts(language).descriptions), slots);
}

// A text, and the key of the request or problem that it tells of: a text about a held-out request is held out too.
struct KeyedText {
  std::string key;
  std::string text;
};

KeyedText office_story(RandomStream& random, Language language, Slots slots) {
  const std::size_t label = random.below(kFourClasses.size());
  const DecisionCore core = draw_decision_core(random, language, label);
  slots["request"] = core.request;
  slots["reason"] = core.reason;
  slots["label"] = std::string(kFourClasses[label]);
  return {core.request, fill(pick(random, general_texts(language).office_stories), slots)};
}

KeyedText calculation(RandomStream& random, Language language, Slots slots) {
  const GeneralTexts& texts = general_texts(language);
  const WordedProblem worded = draw_worded_problem(random, language);
  slots["question"] = worded.question;
  slots["steps"] = worded.formula;
  const std::string_view separator = random.below(2) == 0 ? "\n" : texts.step_separator;
  for (const std::string& step : worded.problem.steps) {
    if (!slots["steps"].empty()) slots["steps"] += separator;
    slots["steps"] += step;
  }
  return {problem_key(worded.problem), fill(pick(random, texts.calculations), slots)};
}

KeyedText description(RandomStream& random, Language language, const Slots& slots) {
  const GeneralTexts& texts = general_texts(language);
  std::string text = describe(random, language, slots);
  const std::uint64_t more = random.below(3);
  for (std::uint64_t i = 0; i < more; ++i) {
    text += random.below(2) == 0 ? "\n" : texts.sentence_separator;
    text += describe(random, language, slots);
  }
  return {text, text};
}

}  // namespace

GeneratedRecord draw_general_text(RandomStream& random, Language language) {
  const Slots slots = draw_slots(random, language);
  const std::uint64_t kind = random.below(5);
  KeyedText keyed = kind < 2   ? office_story(random, language, slots)
                    : kind < 4 ? calculation(random, language, slots)
                               : description(random, language, slots);
  GeneratedRecord record;
  record.key = std::move(keyed.key);
  record.text = std::move(keyed.text);
  record.task = "general";
  record.language = language;
  return record;
}

GeneratedRecord draw_small_talk(RandomStream& random, Language language) {
  const GeneralTexts& texts = general_texts(language);
  Slots slots = draw_slots(random, language);
  const bool about_request = random.below(2) == 0;
  slots["sentence"] = about_request ? draw_decision_core(random, language, random.below(kFourClasses.size())).request
                                    : describe(random, language, slots);
  const GeneralTexts::Exchange& exchange = texts.exchanges[random.below(texts.exchanges.size())];
  GeneratedRecord record;
  record.user = fill(exchange.user, slots);
  record.answer = fill(exchange.assistant, slots);
  // A repeated request is told; of the other exchanges the first words are all there is.
  record.key = exchange.user.find("{sentence}") == std::string_view::npos ? record.user : slots["sentence"];
  record.task = "small-talk";
  record.language = language;
  return record;
}

}  // namespace nkat::data
