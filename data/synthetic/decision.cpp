#include "data/synthetic/decision.h"

namespace nkat::data {

const DecisionTexts& decision_texts(Language language) {
  return language == Language::kEnglish ? decision_texts_english() : decision_texts_japanese();
}

DecisionCore draw_decision_core(RandomStream& random, Language language, std::size_t label) {
  const WordLists& words = word_lists(language);
  const auto& domains = decision_texts(language).domains;
  const DecisionDomain& domain = domains[random.below(domains.size())];
  const DecisionCase& chosen = domain.cases[label];
  const Slots slots = {
      {"item", std::string(pick(random, domain.items))}, {"name", std::string(pick(random, words.names))},
      {"team", std::string(pick(random, words.teams))},  {"day", std::string(pick(random, words.days))},
      {"small", std::to_string(5 + random.below(190))},  {"large", std::to_string((5 + random.below(90)) * 1000)}};
  return {fill(pick(random, chosen.requests), slots), fill(chosen.reason, slots)};
}

GeneratedRecord draw_decision(RandomStream& random, Language language, std::size_t label) {
  const DecisionTexts& texts = decision_texts(language);
  const DecisionCore core = draw_decision_core(random, language, label);
  const std::string_view closing = pick(random, texts.closings);
  const std::string name(kFourClasses[label]);
  return {.key = core.request,
          .system = std::string(pick(random, texts.systems)),
          .user = core.request + std::string(closing),
          .answer = fill(texts.answer, {{"label", name}, {"reason", core.reason}}),
          .text = "",
          .label = name,
          .task = "decision",
          .language = language};
}

}  // namespace nkat::data
